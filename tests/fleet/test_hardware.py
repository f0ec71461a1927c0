"""`hardware:` of a box: which machine it is, in words that can be checked before anybody waits for them."""

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.model.machines.newcomer import Hardware
from tests.kit.site import FILES
from tests.simulators.tree import DictTree

KEY = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"


def boxes(**hardware: str) -> dict[str, str]:
    return FILES | {f"boxes/{name}.yaml": f"role: vm\nhardware: {text}\n" for name, text in hardware.items()}


def mistakes(**hardware: str) -> str:
    with pytest.raises(FleetError) as caught:
        load_fleet(DictTree(boxes(**hardware)))
    return str(caught.value)


def test_what_names_a_machine_is_read() -> None:
    fleet = load_fleet(DictTree(boxes(a='{serial: "7XK 2Q13", mac: 52-54-00-12-34-5A}', b=f"{{key: {KEY}}}")))
    assert fleet.boxes["a"].hardware == Hardware("7XK 2Q13", "52:54:00:12:34:5a")
    assert fleet.boxes["b"].hardware == Hardware(key=KEY) and fleet.boxes["c"].hardware is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{serial: To be filled by O.E.M.}", "what makers write where they give none"),
        ("{serial: Default string}", "what makers write where they give none"),
        ('{serial: "0000000000"}', "what makers write where they give none"),
        ("{serial: Not Specified}", "what makers write where they give none"),
        ('{serial: " "}', "boxes/a.yaml:2"),
        ("{mac: 52:54:00:12:34}", "six bytes"),
        ("{mac: ff:ff:ff:ff:ff:ff}", "no address of one machine"),
        ("{mac: 00:00:00:00:00:00}", "no address of one machine"),
        ("{key: 3b6a}", "boxes/a.yaml:2"),
        (f"{{key: {KEY}, serial: 7XK2Q13}}", "leave out `serial`, `mac`"),
        ("{}", "at least one of"),
        ("{serials: 7XK2Q13}", "serial"),
    ],
)
def test_what_names_no_machine_is_a_mistake_with_its_place(text: str, told: str) -> None:
    said = mistakes(a=text)
    assert told in said and "boxes/a.yaml:2" in said


def test_two_boxes_are_not_one_machine() -> None:
    said = mistakes(a="{serial: 7XK2Q13}", b='{serial: 7XK2Q13, mac: "52:54:00:12:34:56"}')
    assert "boxes/b.yaml:2" in said and "7XK2Q13 is a already (boxes/a.yaml)" in said


def test_what_a_newcomer_runs_is_its_roles_and_a_role_that_needs_a_boxes_value_has_none() -> None:
    files = boxes()
    template = 'files:\n  - {path: etc/motd, contents: "${mast}", template: true}\n'
    own = {f"boxes/{name}.yaml": "role: vm\nvalues: {mast: north}\n" for name in "abc"}
    assert load_fleet(DictTree(files)).newcomers["vm"].name == "new.vm"
    assert load_fleet(DictTree(files | own | {"roles/vm.yaml": files["roles/vm.yaml"] + template})).newcomers == {}

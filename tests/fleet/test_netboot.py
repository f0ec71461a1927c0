"""Boxes that the network starts: how each is known, and to nobody else."""

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.plan import box_keys
from tests.kit.fleets import package
from tests.simulators.tree import DictTree

MAC, UUID = "52:54:00:12:34:56", "5e2f8d7c-0000-4000-8000-00000000abcd"


def tree(**boxes: str) -> DictTree:
    files = {
        "fleet.yaml": "{}\n",
        "boot/a.yml": 'kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}\ninit: ["@pkg:../pkg/init"]\n',
        "roles/vm.yaml": "boot: [boot/a.yml]\n",
    }
    for name in ("kernel", "init"):
        files |= package(f"pkg/{name}")
    return DictTree(files | {f"boxes/{name}.yaml": f"role: vm\n{text}\n" for name, text in boxes.items()})


def mistakes(**boxes: str) -> list[str]:
    with pytest.raises(FleetError) as found:
        load_fleet(tree(**boxes))
    return [str(problem) for problem in found.value.problems]


def test_a_box_is_known_by_mac_or_uuid_and_stays_the_same_release() -> None:
    plain = load_fleet(tree(a="", b=""))
    fleet = load_fleet(tree(a=f"netboot: {{mac: '{MAC}'}}", b=f"netboot: {{uuid: {UUID}}}"))
    assert fleet.boxes["a"].netboot == {"mac": MAC} and fleet.boxes["b"].netboot == {"uuid": UUID}
    assert box_keys(fleet) == box_keys(plain), "how it starts changes nothing of what it runs"
    fleet = load_fleet(tree(a=f"netboot: {{mac: '{MAC}', install: largest}}", b=""))
    assert fleet.boxes["a"].netboot == {"mac": MAC, "install": "largest"} and box_keys(fleet) == box_keys(plain)


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("netboot: {mac: 52-54-00-12-34-56}", "in lower case, such as 52:54:00:12:34:56"),
        (f"netboot: {{mac: '{MAC}', install: 'la rgest'}}", "`largest`, `smallest`, `ask`, or a disk's name"),
        ("wipe: {key: abc, why: sold}", "as `toweros box wipe NAME` writes them"),
        ("wipe: true", "`wipe`: should be a dictionary; write keys and values"),
    ],
)
def test_what_is_of_another_shape_comes_with_what_to_write(said: str, fix: str) -> None:
    """A pattern, and what our classes are called, are no fix."""
    (told,) = mistakes(a=said)
    assert fix in told


def test_two_boxes_cannot_be_one_machine() -> None:
    (told,) = mistakes(a=f"netboot: {{mac: '{MAC}'}}", b=f"netboot: {{mac: '{MAC}'}}", c=f"netboot: {{uuid: {UUID}}}")
    assert told.startswith("boxes/b.yaml:2:") and f"{MAC} is a's already" in told and "boxes/a.yaml" in told


def test_a_machine_that_the_network_starts_is_not_named_as_another_box() -> None:
    """`hardware` gives a machine without a name this box's; `netboot` starts it as that one."""
    (told,) = mistakes(a=f"netboot: {{mac: '{MAC}'}}", b="hardware: {mac: 52-54-00-12-34-56}")
    assert told.startswith("boxes/a.yaml:2:") and f"{MAC} is b's already" in told and "boxes/b.yaml" in told
    both = f"netboot: {{mac: '{MAC}'}}\nhardware: {{mac: {MAC}}}"
    assert load_fleet(tree(a=both, b="hardware: {mac: 52-54-00-12-34-57}")).boxes["a"].netboot == {"mac": MAC}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{}", "either `mac` or `uuid` is expected"),
        (f"{{mac: '{MAC}', uuid: {UUID}}}", "either `mac` or `uuid` is expected"),
        ("{install: largest}", "either `mac` or `uuid` is expected"),
        (f"{{mac: '{MAC}', install: sda nvme0}}", "does not match"),
        (f"{{mac: '{MAC}', install: ''}}", "does not match"),
        ("{mac: '52:54:00:12:34:5G'}", "does not match"),
        ("{mac: '52:54:00:AB:34:56'}", "does not match"),
        ("{mac: '53:54:00:12:34:56'}", "the address of a group"),
        ("{ip: 192.0.2.1}", "unknown key `ip`"),
        ("yes", "netboot"),
        ("{uuid: x}", "does not match"),
    ],
)
def test_what_names_no_machine_is_told_with_its_line(said: str, why: str) -> None:
    (told,) = mistakes(a=f"netboot: {said}")
    assert told.startswith("boxes/a.yaml:2:") and why in told


def test_a_role_cannot_be_one_machine() -> None:
    sound = tree(a="")
    files = {path: sound.read(path).decode() for path in sound.entries()}
    with pytest.raises(FleetError) as found:
        load_fleet(DictTree(files | {"roles/vm.yaml": f"boot: [boot/a.yml]\nnetboot: {{mac: '{MAC}'}}\n"}))
    (told,) = map(str, found.value.problems)
    assert told.startswith("roles/vm.yaml:2:") and "unknown key `netboot`" in told

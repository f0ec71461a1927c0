"""`copies:`: a fleet repo says to its boxes where copies of what the server serves are."""

import json
import tomllib
from pathlib import Path

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.fleet.system_files import drop_in
from gitops.model.network.copies import COPIES_DROP_IN
from gitops.plan import box_key
from tests.kit.site import FILES
from tests.simulators.tree import DictTree

CONTRACT = Path(__file__).parents[2] / "contracts/agent/schema.json"
CDN, REGISTRY = "https://cdn.example/fleet", "oci+https://registry.example:5000/toweros/fleet"


def test_the_nearest_level_counts_and_who_has_none_is_not_made_anew() -> None:
    plain, own = load_fleet(DictTree(FILES)), {"boxes/a.yaml": f"role: vm\ncopies: [{CDN}, {REGISTRY}]\n"}
    fleet = load_fleet(DictTree(FILES | own | {"roles/vm.yaml": f"{FILES['roles/vm.yaml']}copies: [{REGISTRY}]\n"}))
    told = [tomllib.loads(drop_in(fleet.boxes[name], COPIES_DROP_IN)) for name in "ab"]
    assert told == [{"copies": [CDN, REGISTRY]}, {"copies": [REGISTRY]}]
    assert told[0].keys() <= json.loads(CONTRACT.read_text())["properties"].keys()
    assert "copies" not in drop_in(fleet.boxes["a"]), "an older agent would leave all of that out"
    alone = load_fleet(DictTree(FILES | own))
    assert COPIES_DROP_IN in {each["path"] for each in alone.boxes["a"].files}
    assert COPIES_DROP_IN not in {each["path"] for each in alone.boxes["b"].files}
    assert box_key(alone, alone.boxes["a"]) != box_key(plain, plain.boxes["a"])
    assert box_key(alone, alone.boxes["b"]) == box_key(plain, plain.boxes["b"])


@pytest.mark.parametrize(
    "text", ["[192.0.2.7]", "[ftp://x]", "['http://ada:secret@x']", CDN, f"[{', '.join([CDN] * 9)}]", "[oci://x/y]"]
)
def test_what_is_no_place_is_a_mistake_with_its_place(text: str) -> None:
    with pytest.raises(FleetError, match=r"boxes/a\.yaml:2"):
        load_fleet(DictTree(FILES | {"boxes/a.yaml": f"role: vm\ncopies: {text}\n"}))

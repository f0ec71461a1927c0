"""`noc:`: a fleet repo says to its boxes which server is theirs at the site."""

import json
import tomllib
from pathlib import Path

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.fleet.system_files import drop_in
from gitops.model.keys import NOC_DROP_IN
from gitops.plan import box_key
from tests.kit.site import FILES
from tests.simulators.tree import DictTree

CONTRACT = Path(__file__).parents[2] / "contracts/agent/schema.json"
NOC = "http://192.0.2.7:8080"


def test_the_nearest_level_counts_and_who_has_none_is_not_made_anew() -> None:
    plain, own = load_fleet(DictTree(FILES)), {"boxes/a.yaml": f"role: vm\nnoc: {NOC}\n"}
    fleet = load_fleet(DictTree(FILES | own))
    told = tomllib.loads(drop_in(fleet.boxes["a"], NOC_DROP_IN))
    assert told == {"noc": NOC} and told.keys() <= json.loads(CONTRACT.read_text())["properties"].keys()
    assert box_key(fleet, fleet.boxes["a"]) != box_key(plain, plain.boxes["a"])
    assert "noc" not in drop_in(fleet.boxes["a"]), "an older agent would leave all of that out"
    files = [{each["path"] for each in fleet.boxes[name].files} for name in "ab"]
    assert NOC_DROP_IN in files[0] and NOC_DROP_IN not in files[1]
    assert box_key(fleet, fleet.boxes["b"]) == box_key(plain, plain.boxes["b"])
    role = {"roles/vm.yaml": f"{FILES['roles/vm.yaml']}noc: http://192.0.2.8\n"}
    both = load_fleet(DictTree(FILES | own | role))
    assert [tomllib.loads(drop_in(both.boxes[name], NOC_DROP_IN))["noc"] for name in "ab"] == [NOC, "http://192.0.2.8"]


@pytest.mark.parametrize("text", ["192.0.2.7", "ftp://x", "http://a b", "http://ada:secret@x", "7"])
def test_what_is_no_address_is_a_mistake_with_its_place(text: str) -> None:
    with pytest.raises(FleetError, match=r"boxes/a\.yaml:2"):
        load_fleet(DictTree(FILES | {"boxes/a.yaml": f"role: vm\nnoc: {text}\n"}))

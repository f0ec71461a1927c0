"""What a box's release is made from stays byte for byte what it was: nobody's fleet is rebuilt by an upgrade of ours.

golden/fleet/repo is a fleet that says every key at every level; boxes.json is what the controller made of it before
keys were declared (ADR 17). A difference here reboots every box that there is: it needs a new `recipe`.
"""

import json
from pathlib import Path

from gitops.fleet import load_fleet
from gitops.plan import box_keys
from gitops.source import FolderTree
from tests.kit.console import toweros

GOLDEN = Path(__file__).parent.parent / "golden" / "fleet"


def test_boxes_of_existing_fleets_keep_their_identity() -> None:
    expected = json.loads((GOLDEN / "boxes.json").read_text())
    fleet = load_fleet(FolderTree(GOLDEN / "repo"))
    assert box_keys(fleet) == expected["keys"]


def test_every_value_of_a_box_and_its_origin_are_what_they_were() -> None:
    expected = json.loads((GOLDEN / "boxes.json").read_text())["boxes"]
    for name, box in expected.items():
        shown = toweros("get", "box", name, "-C", GOLDEN / "repo", "-o", "json").stdout
        assert json.loads(shown) == box

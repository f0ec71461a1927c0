"""What levels expand to is counted as it is: what roles share, once; what each box has of its own, each time."""

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.fleet.documents import budget
from tests.simulators.tree import DictTree

IMAGE = f"x@sha256:{'0' * 64}"
LARGE = "x" * (300 << 10)
BOOT = f"kernel: {{image: {IMAGE}}}\ninit: [{IMAGE}]\nservices:\n" + "".join(
    f"  - {{name: {name}, image: {IMAGE}}}\n" for name in ("docker", "compose")
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "EXPANDED", 1 << 20)


def fleet(roles: int, boxes: int, **files: str) -> DictTree:
    role = "boot: [boot/a.yml]\ncompose: [{app: boot/net}]\n"
    return DictTree(
        {"fleet.yaml": "{}\n", "boot/a.yml": BOOT, "large": LARGE}
        | {"boot/net/docker-compose.yml": f"services: {{a: {{image: {IMAGE}}}}}\n"}
        | {f"roles/r{number}.yaml": role for number in range(roles)}
        | {f"boxes/b{number}.yaml": "role: r0\n" for number in range(boxes)}
        | files
    )


@pytest.mark.parametrize(
    "files",
    [
        {"boot/net/large": LARGE},
        {"boot/a.yml": BOOT + "files: [{path: etc/large, source: large}]\n"},
        {"fleet.yaml": "files: [{path: etc/large, source: large}]\n"},
    ],
)
def test_a_large_file_counts_once_however_many_roles_have_it(files: dict[str, str]) -> None:
    assert len(load_fleet(fleet(20, 1, **files)).boxes) == 1


def test_many_boxes_with_a_file_of_8_kib_each_are_no_attack() -> None:
    text = "y" * (8 << 10) + "${box}"
    tree = fleet(1, 300, **{"fleet.yaml": "files: [{path: etc/own, source: own, template: true}]\n", "own": text})
    assert len(load_fleet(tree).boxes) == 300, "2.4 MiB, of 1 MiB and what each box may have"


@pytest.mark.parametrize(
    ("files", "boxes"),
    [
        ({"fleet.yaml": "files: [{path: etc/own, source: large, template: true}]\n"}, 10),
        (
            {
                "fleet.yaml": "files: [{path: a, source: large}]\n",
                "boot/net/large": 3 * LARGE,
            },
            1,
        ),
    ],
)
def test_what_comes_to_more_is_refused(files: dict[str, str], boxes: int) -> None:
    with pytest.raises(FleetError, match="what the levels expand to is more than 1 MiB"):
        load_fleet(fleet(1, boxes, **files))

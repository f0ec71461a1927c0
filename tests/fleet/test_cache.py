"""What was read before is not read again, is bounded, and hides no mistake."""

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.fleet.cache import MAX_FILE, MAX_TOTAL, PARSED, CachedTree, ParsedFiles
from gitops.model.source import Entry
from tests.kit.fleets import TREE
from tests.simulators.tree import DictTree


class Counting(DictTree):
    """Counts reads."""

    def __init__(self, tree: DictTree) -> None:
        super().__init__({path: tree.read(path).decode() for path in tree.entries()})
        self.reads: list[str] = []

    def read(self, path: str) -> bytes:
        self.reads.append(path)
        return super().read(path)


def test_a_second_revision_reads_only_the_boxes_that_it_changes() -> None:
    PARSED.clear()
    first = load_fleet(TREE)
    second = Counting(TREE.with_files({"boxes/two.yaml": "role: vm\nnetwork: {address: 192.0.2.7/24}\n"}))
    now = load_fleet(second)
    assert [path for path in second.reads if path.startswith("boxes/")] == ["boxes/two.yaml"]
    assert now.boxes["one"] == first.boxes["one"] and now.boxes["two"].network.address == "192.0.2.7/24"


def test_a_mistake_is_told_each_time_and_at_its_own_place() -> None:
    bad = TREE.with_files({"boxes/two.yaml": "rol: vm\n", "boxes/six.yaml": "rol: vm\n"})
    for _ in range(2):
        with pytest.raises(FleetError) as caught:
            load_fleet(bad)
        assert {problem.file for problem in caught.value.problems} == {"boxes/two.yaml", "boxes/six.yaml"}


def test_equal_files_of_another_name_or_kind_are_other_values() -> None:
    files, entry = ParsedFiles(), Entry("boxes/one.yaml", 0o100644, "ab" * 20, 10)
    files.put("boxes/one.yaml", entry, int, "a box")
    assert files.get("boxes/one.yaml", entry, int) == "a box"
    assert files.get("boxes/two.yaml", entry, int) is None and files.get("boxes/one.yaml", entry, str) is None


def test_what_is_kept_is_bounded_in_size_and_number() -> None:
    files = ParsedFiles()
    files.put("large", Entry("large", 0o100644, "00" * 20, MAX_FILE + 1), int, "x")
    assert files.get("large", Entry("large", 0o100644, "00" * 20, MAX_FILE + 1), int) is None
    for number in range(MAX_TOTAL // 64 + 100):
        files.put(f"{number}", Entry(f"{number}", 0o100644, f"{number:040x}", 0), int, number)
    assert len(files._values) <= MAX_TOTAL // 64


def test_a_file_that_every_box_needs_is_read_once() -> None:
    tree = Counting(DictTree({"keys/root.json": "{}", "large": "x" * (MAX_FILE + 1)}))
    cached = CachedTree(tree)
    for _ in range(3):
        assert cached.read("keys/root.json") == b"{}" and len(cached.read("large")) > MAX_FILE
    assert tree.reads.count("keys/root.json") == 1 and tree.reads.count("large") == 3

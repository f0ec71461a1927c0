"""What several use at once is remembered once, and stays while somebody is at work."""

from pathlib import Path

import pytest

from gitops.assemble.formats.memory import Memory
from gitops.errors import AssembleError

KEY = "ab" * 32


def test_a_file_that_somebody_else_made_in_the_meantime_is_not_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one came between our look and our work: it was left with a path to nothing."""
    ours, theirs, looks = Memory(tmp_path), Memory(tmp_path), list[Path]()
    look = ours._whole

    def then_the_other(place: Path) -> Path | None:
        found = look(place)
        if not looks:
            looks.append(theirs.get(KEY, lambda target: target.write_bytes(b"made")))
        return found

    def work(target: Path) -> None:
        assert looks[0].read_bytes() == b"made", "whoever has it goes on with it meanwhile"
        target.write_bytes(b"made")

    monkeypatch.setattr(ours, "_whole", then_the_other)
    made = ours.get(KEY, work)
    assert made == looks[0] and made.read_bytes() == b"made"
    assert [path.name for path in tmp_path.iterdir()] == [KEY]


def test_a_damaged_one_is_made_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.get(KEY, lambda target: target.write_bytes(b"made")).write_bytes(b"fade")
    assert memory.get(KEY, lambda target: target.write_bytes(b"made")).read_bytes() == b"made"
    assert [path.name for path in tmp_path.iterdir()] == [KEY]


def test_nothing_is_forgotten_while_somebody_is_at_work(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "assembled")
    with memory.kept():
        file = memory.get(KEY, lambda target: target.write_bytes(b"made"))
        with pytest.raises(AssembleError, match="another `toweros assemble` is at work there"):
            Memory(tmp_path / "assembled").forget(0)
        assert Memory(tmp_path / "assembled").forget(-1) == 0 and file.exists()
    assert memory.forget(0) == 4 and not file.exists()

"""The initrd's watchdog: fed while the disks give something, and not a moment longer."""

from pathlib import Path

import pytest

from tests.kit.initrd import SHELLS, initrd


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("then", "fed"),
    [("read_on", 3), ("true", 0), ("write_on", 0)],
    ids=["a disk that is read", "a disk that hangs", "a disk that is only written"],
)
@pytest.mark.parametrize("growing", [False, True], ids=["as ever", "while it grows"])
def test_a_slow_disk_gets_its_time_and_one_that_gives_nothing_is_reset(
    tmp_path: Path, shell: str, then: str, fed: int, growing: bool
) -> None:
    """A file system that grows is written, and hardly read.

    `stat` of a disk: reads, merges, sectors, ms, then the same of writes (Documentation/block/stat.rst).
    """
    for name in ("sda", "loop0"):
        (tmp_path / "block" / name).mkdir(parents=True)
        (tmp_path / "block" / name / "stat").write_text("       8  0  800  5  1  0  16  2  0\n")
    work = f"""
feed() {{ echo fed; }}
sleep() {{ {then}; }}
read_on() {{ read -r a b c rest <$BLOCK/sda/stat; echo $a $b $((c + 8)) $rest >$BLOCK/sda/stat; }}
write_on() {{ read -r a b c d e f g rest <$BLOCK/sda/stat; echo $a $b $c $d $e $f $((g + 8)) $rest >$BLOCK/sda/stat; }}
{"feed_while_writing" if growing else "feed_while_reading"}
"""
    said = initrd(shell, tmp_path, work, BLOCK=str(tmp_path / "block"), LOOKS="3")
    assert said.split() == ["fed"] * (3 if growing and then == "write_on" else 0 if growing else fed)

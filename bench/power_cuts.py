"""Power lost at every write of an update: is there a release that starts, and that is verified, in each state?

In: nothing, or a folder with a recording of before. Out: figures; exit code 1 when the box would be lost in one of the
states, a blessed release gone, or what was started after the check of its file system. A real box in QEMU takes an
update while every write and flush of its disk is recorded; then each boundary between two writes, torn writes, and any
writes missing since the last flush are laid over the disk of before, and judged (tests/kit/cuts). Needs root, as every
build does.

    python bench/power_cuts.py [--keep FOLDER] [--shuffled 300] [--torn 1500]      # `make soak`
    python bench/power_cuts.py --again FOLDER
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "pkg" / "agent"))
sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.e2e.field import BOX, GREETING, SIZES, STATIC, Field
from tests.kit import built
from tests.kit.cuts.campaign import Campaign, Extent
from tests.kit.cuts.updates import keep, kept, recorded, recording

NOTE = "recording.json"


def record(folder: Path) -> None:
    """One update of a box, from its first boot until some time after it was blessed."""
    with built.alone("field"):
        field = Field(built.FIELD, STATIC)
        field.apply()
        field.serve()
        with recorded(field.new_disk(folder)):
            field.wait_healthy(field.state().enrolled)
            before, since = field.store.offers.published(BOX), int(time.time())
            field.change(GREETING, f"hello, {time.time()}\n", "One line")
            field.wait_healthy(since)
            after = field.store.offers.published(BOX)
            time.sleep(40)  # the kernel writes back what is older than 30 s
        field.close()
    assert before and after
    keep(recording(folder, SIZES, field.store, [before, after]), folder / NOTE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="a new folder for the recording")
    parser.add_argument("--again", type=Path, help="a folder with a recording")
    parser.add_argument("--shuffled", type=int, default=300, help="states with writes missing, per flush")
    parser.add_argument("--torn", type=int, default=1500, help="states with a torn write, per write")
    parser.add_argument("--stride", type=int, default=1, help="of what changes TOWEROS alone, every how manyth")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.again or options.keep or Path(name)
        if not options.again:
            folder.mkdir(parents=True, exist_ok=True)
            record(folder)
        began = time.monotonic()
        campaign = Campaign(kept(folder / NOTE), Path(name) / "work")
        figures = campaign.run(Extent(options.shuffled, options.torn, options.stride))
    print(f"{figures}; {time.monotonic() - began:.0f} s")
    for line in (*figures.lost[:20], *figures.gone[:20], *figures.left[:20]):
        print(line)
    sys.exit(bool(figures.lost or figures.gone or figures.left))


if __name__ == "__main__":
    main()

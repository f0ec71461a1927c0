"""What each hostile fleet repo of tests/test_hostile.py costs `toweros validate`, as a ratio to a sound repo.

In: nothing. Out: seconds of wall clock and MiB of RAM per trick, and the ratio to the same command on the small sound
fleet repo, whose cost is mostly Python's start.

    python bench/attacks/hostile_fleets.py
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fleet.test_fleet import repo
from tests.fleet.test_hostile import TRICKS, Trick, validate

ROUNDS = 3


def measure(folder: Path, trick: Trick | None) -> tuple[float, float]:
    """Median seconds and MiB of a few runs."""
    repo(folder)
    if trick:
        trick(folder)
    seconds, memory = [], []
    for _ in range(ROUNDS):
        start = time.monotonic()
        memory.append(validate(folder)[2] / (1 << 20))
        seconds.append(time.monotonic() - start)
    return statistics.median(seconds), statistics.median(memory)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="toweros-bench-") as place:
        peer = measure(Path(place, "sound"), None)
        print(f"{'a sound fleet repo':40} {peer[0]:6.2f} s          {peer[1]:5.0f} MiB")
        for name, (trick, _) in TRICKS.items():
            folder = Path(place, "trick")
            seconds, memory = measure(folder, trick)
            print(
                f"{name:40} {seconds:6.2f} s  {seconds / peer[0]:4.1f} x  {memory:5.0f} MiB  {memory / peer[1]:4.1f} x"
            )
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()

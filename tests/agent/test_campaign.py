"""bench/boxes.py at its smallest: hours of it are `make soak`, but that it still runs is found out here."""

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench/boxes.py"


def test_two_boxes_come_through_four_releases_with_faults() -> None:
    words = ["--boxes", "2", "--releases", "4", "--seed", "3", "--jobs", "1"]
    done = subprocess.run([sys.executable, BENCH, *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wrong 0, stuck 0" in done.stdout and "updates 8 " in done.stdout

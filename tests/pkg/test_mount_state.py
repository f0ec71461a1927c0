"""Which partition becomes /state, where a stick has one of that name as well: the shell of pkg/mount."""

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "pkg/mount/files/usr/bin/mount-state"


def found(folder: Path, *disks: str, runs_from: str) -> str:
    """The device that is taken, on a machine with these disks, each with TOWEROS and STATE."""
    for name in disks:
        for part, label in ((f"{name}2", "TOWEROS"), (f"{name}3", "STATE")):
            (folder / "block" / name / part).mkdir(parents=True)
            (folder / "block" / name / part / "uevent").write_text(f"PARTNAME={label}\n")
            (folder / "block" / part).symlink_to(f"{name}/{part}")
    (folder / "ext4" / runs_from).mkdir(parents=True)
    functions = SCRIPT.read_text().removesuffix('main "$@"\n')
    places = f"BLOCK={folder}/block EXT4={folder}/ext4\n"
    return subprocess.run(
        ["busybox", "sh", "-c", f"{functions}{places}find_state"], capture_output=True, text=True
    ).stdout


def test_the_data_are_on_the_disk_that_the_box_runs_from_and_not_on_a_stick(tmp_path: Path) -> None:
    assert found(tmp_path, "sda", "vda", runs_from="vda2") == "/dev/vda3\n"

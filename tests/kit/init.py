"""The functions of init's scripts (pkg/init), run by the shell that a box has, on folders that stand for cgroups."""

import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
INIT = CHECKOUT / "pkg/init/files/usr/lib/toweros"
MIB = 1 << 20
MEMORY = 1000 * MIB


def sh(folder: Path, script: str) -> str:
    """Run functions of common.sh; what they wrote."""
    head = f". {INIT}/common.sh; CGROUPS={folder}/cgroups HANDOVER={folder} CONTAINERS={folder}/containers"
    head += f" MEMINFO={folder}/meminfo PATH={folder}/bin:$PATH\n"
    (folder / "cgroups").mkdir(exist_ok=True)
    (folder / "cgroups/cgroup.controllers").write_text("cpu memory pids\n")
    (folder / "meminfo").write_text(f"MemTotal:       {MEMORY // 1024} kB\nMemFree: 7 kB\n")
    done = subprocess.run(["busybox", "sh", "-c", head + script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout

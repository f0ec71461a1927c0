"""What services were refused, as the kernel counts it in their cgroups.

init bounds each container in a cgroup that stays when the container ends (pkg/init, `bound`): /services/NAME, and
/core/NAME for what keeps the box within reach. Docker's containers are further down, and their cgroups go with them;
what all of them were refused stays counted above. (Kernel: Documentation/admin-guide/cgroup-v2.rst, memory.events and
pids.events, which count what is below, too.)
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
GROUPS = ("services", "core")
APPS = Path("services/docker/run/inside/docker")
"""Where pkg/docker lets the engine put what it starts."""


@dataclass(frozen=True)
class Counters:
    """`killed`: processes that the kernel ended because memory ran out; `refused`: forks beyond the limit.

    `pids` is how many there are now, a limit is None where there is none; `memory` is that limit in bytes.
    """

    killed: int = 0
    refused: int = 0
    pids: int = 0
    limit: int | None = None
    memory: int | None = None

    @classmethod
    def of(cls, folder: Path) -> "Counters":
        numbers = [_number(folder / name) for name in ("pids.max", "memory.max")]
        killed, refused = _event(folder / "memory.events", "oom_kill"), _event(folder / "pids.events", "max")
        return cls(killed, refused, _number(folder / "pids.current") or 0, *numbers)

    @property
    def crowded(self) -> bool:
        """As many processes as there may be, give or take those that come and go."""
        return self.limit is not None and self.pids >= self.limit * 0.9


def services(root: Path = CGROUPS) -> Mapping[str, Counters]:
    """Of every service, by its name; `user containers` is all of them together."""
    folders = [folder for group in GROUPS for folder in sorted((root / group).glob("*/"))]
    found = {folder.name: Counters.of(folder) for folder in folders}
    if (root / APPS).is_dir():
        found["user containers"] = Counters.of(root / APPS)
    return found


def user_containers(root: Path = CGROUPS) -> Mapping[str, Counters]:
    """Of every user container that runs, by its id."""
    return {folder.name: Counters.of(folder) for folder in sorted((root / APPS).glob("*/"))}


def _number(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _event(path: Path, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        rows = (line.split() for line in path.read_text().splitlines())
        return next((int(row[1]) for row in rows if len(row) == 2 and row[0] == name), 0)
    return 0

"""What services were refused, as the kernel counts it in their cgroups.

init bounds each container in a cgroup that stays when the container ends (pkg/init, `bound`): /services/NAME, and
/core/NAME for what keeps the box within reach. Docker's containers are further down, and their cgroups go with them;
what all of them were refused stays counted above. (Kernel: Documentation/admin-guide/cgroup-v2.rst: memory.events and,
since Linux 6.11, pids.events count what is below, too; pids.events.local does not. There is no such count of processes
that were killed: it is the cgroup's that they were in, which is gone. So what a level below explains is taken off.)
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
GROUPS = ("services", "core")
ALL, ALL_APPS = "all services", "user containers"
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
        killed, own = _event(folder / "memory.events", "oom_kill"), folder / "pids.events.local"
        refused = _event(own if own.exists() else folder / "pids.events", "max")
        return cls(killed, refused, _number(folder / "pids.current") or 0, *numbers)

    @property
    def crowded(self) -> bool:
        """As many processes as there may be, give or take those that come and go."""
        return self.limit is not None and self.pids >= self.limit * 0.9


def services(root: Path = CGROUPS) -> Mapping[str, Counters]:
    """Of every service, by its name; of all user containers, and of all that is not of the core."""
    found = {name: Counters.of(folder) for group in GROUPS for name, folder in _services(root / group)}
    if (root / APPS).is_dir():
        apps = Counters.of(root / APPS)
        below = sum(each.killed for each in user_containers(root).values())
        engine = found.get("docker", Counters())
        found["docker"] = replace(engine, killed=max(0, engine.killed - apps.killed))
        found[ALL_APPS] = replace(apps, killed=max(0, apps.killed - below))
    if (root / "services").is_dir():
        found[ALL] = replace(Counters.of(root / "services"), killed=0)
    return found


def fattest(root: Path = CGROUPS) -> str:
    """The service with the most processes that is not of the core; "" when there is none."""
    each = {name: _number(folder / "pids.current") or 0 for name, folder in _services(root / "services")}
    return max(each, key=lambda name: each[name], default="")


def _services(folder: Path) -> list[tuple[str, Path]]:
    """The last part of the path is the service's name (pkg/init, `bound`)."""
    found = []
    for each in sorted(folder.glob("*/")):
        if each.name != "run" or each.parent.name in GROUPS:
            inner = each.name != "run" and _services(each)
            found += inner or [(each.name, each)]
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

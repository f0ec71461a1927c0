"""What cannot answer is started again, then the box.

In: one look after each round of health checks. Out: words for the report, and in the end the reason to start the box
again. Rules:

- containerd that has not answered for `SILENT` seconds is ended, and init starts it; so is Docker's service, and
  containerd starts that. Neither is asked to end: what does not answer would not hear it. Each new start gets twice
  the time of the one before.
- A service that sits at its limit of processes, and is still refused more, cannot help itself: it is ended as a whole.
- What `TRIES` such starts did not mend is mended by none: the box starts again. When that does not help either, it
  takes twice as long each time until the next: a box that answers to its server is worth more than one that restarts.
- Whatever happened is told for ten minutes.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from toweros_agent.health.counters import Counters

CONTAINERD, DOCKER = "containerd", "docker"
SILENT = {CONTAINERD: 90.0, DOCKER: 300.0}
"""Seconds. An engine that has many containers to start, on a slow box, does not answer meanwhile."""
MISSES = 5
"""Looks in a row without an answer, however long they are apart: a box that cannot reach its server looks rarely."""
CROWDED = 60.0
"""Seconds for which a service sits at its limit of processes before it is ended."""
TRIES = 3
STEADY = 600.0
"""Seconds after which an answer forgets what was before."""
TOLD = 600.0
"""Seconds for which a thing that is over is told: a healed box is not red."""
MIB = 1 << 20


class Wards(Protocol):
    """What the keeper looks at, and may end."""

    def answers(self) -> Mapping[str, bool]:
        """Of containerd and, where it runs, Docker: did it answer just now?"""

    def counters(self) -> Mapping[str, Counters]:
        """Of every service, and of user containers that were refused anything."""

    def end(self, name: str) -> bool:
        """End containerd or a service at once; False: it was not found."""


@dataclass
class Ward:
    """Times are monotonic; `since`: silent or crowded from then on. `tries`: since it was last well for long."""

    since: float | None = None
    misses: int = 0
    well: float | None = None
    tries: int = 0

    def fine(self, now: float) -> None:
        self.since, self.misses = None, 0
        self.well = now if self.well is None else self.well
        if now - self.well >= STEADY:
            self.tries = 0

    def trouble(self, now: float) -> float:
        """Seconds for which there is some."""
        self.well, self.misses = None, self.misses + 1
        self.since = now if self.since is None else self.since
        return now - self.since


@dataclass
class Keeper:
    """The keeper of one boot."""

    wards: Wards
    hopeless: str = ""
    """Why the box should start again; "" while it should not."""
    _wards: dict[str, Ward] = field(default_factory=dict)
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    _told: dict[str, tuple[str, float]] = field(default_factory=dict)

    def look(self) -> None:
        now = time.monotonic()
        for name, answers in self.wards.answers().items():
            self._answer(name, answers, now)
        for name, counters in self.wards.counters().items():
            self._count(name, counters, now)

    @property
    def problems(self) -> list[str]:
        now = time.monotonic()
        return [words for words, moment in self._told.values() if now - moment < TOLD]

    def _answer(self, name: str, answers: bool, now: float) -> None:
        ward = self._wards.setdefault(name, Ward())
        if answers:
            ward.fine(now)
            self.hopeless = "" if self.hopeless.startswith(name) else self.hopeless
        elif ward.trouble(now) >= SILENT[name] * 2**ward.tries and ward.misses >= MISSES:
            self._again(name, ward, f"{name} does not answer", now)

    def _count(self, name: str, counters: Counters, now: float) -> None:
        killed, refused = self._seen.get(name, (0, 0))
        self._seen[name] = (counters.killed, counters.refused)
        if counters.killed > killed:
            limit = f" (memory limit {counters.memory // MIB} MiB)" if counters.memory else ""
            self._tell(f"{name} memory", f"{_title(name)}: oom killed, {counters.killed} times{limit}", now)
        if counters.refused > refused:
            self._tell(f"{name} pids", f"{_title(name)}: pids limit reached ({counters.limit})", now)
        ward = self._wards.setdefault(f"crowd {name}", Ward())
        if counters.refused <= refused or not counters.crowded:
            ward.fine(now)
        elif ward.trouble(now) >= CROWDED and self.wards.end(name):
            ward.since = None
            self._tell(f"{name} ended", f"{_title(name)}: started again, as it could start nothing any more", now)

    def _again(self, name: str, ward: Ward, why: str, now: float) -> None:
        if ward.tries >= TRIES:
            self.hopeless = f"{why}, and {ward.tries} new starts did not help"
            self._tell(name, self.hopeless, now)
            return
        ward.since, ward.misses, ward.tries = now, 0, ward.tries + 1
        done = "started again" if self.wards.end(name) else "cannot be started again"
        self._tell(name, f"{why}: {done}, {ward.tries} of {TRIES} times", now)

    def _tell(self, key: str, words: str, now: float) -> None:
        self._told[key] = (words, now)


def _title(name: str) -> str:
    return name if name.startswith(("user container", "all services")) else f"service {name}"

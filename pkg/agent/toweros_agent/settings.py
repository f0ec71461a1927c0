"""Where things are on a box, and what the drop-ins say.

    # /etc/toweros/agent.d/50-site.toml
    poll = 60
    mirrors = ["http://192.0.2.7:8080"]

Drop-ins are read in the order of their names, whatever folder they are in; the last word wins. One that cannot be read
is left out and said in the report: a typing error must not cost the box its way to the server.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toweros_agent.nouns import text

POLL = 30
MIN_POLL = 1
KEYS = frozenset({"server", "poll", "mirrors", "noc", "copies"})


@dataclass(frozen=True)
class Places:
    """The agent's surroundings (docs/formats.md). Tests put them elsewhere."""

    run: Path = Path("/run/toweros")
    holds: Path = Path("/run/docker/toweros/holds")  # to user containers `/run/toweros/holds`: their `/run` is Docker's
    etc: Path = Path("/etc/toweros")
    lib: Path = Path("/usr/lib/toweros")
    state: Path = Path("/state")
    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    efivars: Path = Path("/sys/firmware/efi/efivars")
    pstore: Path = Path("/sys/fs/pstore")
    watchdog: Path = Path("/dev/watchdog")
    boot_id: Path = Path("/proc/sys/kernel/random/boot_id")
    tpm: Path = Path("/dev/tpm0")
    console: Path = Path("/dev/toweros-console")
    screen: Path = Path("/dev/toweros-screen")
    mounts: Path = Path("/proc/self/mountinfo")

    def drop_ins(self) -> list[Path]:
        folders = (self.lib / "agent.d", self.etc / "agent.d", self.run / "agent.d")
        files = {path.name: path for folder in folders for path in folder.glob("*.toml")}
        return [files[name] for name in sorted(files)]


@dataclass(frozen=True)
class Settings:
    """`server`, `mirrors`, `noc` (a site's own server; "": there is none) and `copies` (who has copies of what the
    server serves) are base URLs without a slash at the end; `poll` is seconds."""

    server: str
    poll: float = POLL
    mirrors: tuple[str, ...] = ()
    noc: str = ""
    copies: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def bases(self) -> tuple[str, ...]:
        return (*self.mirrors, self.server)


def load(places: Places, server: str) -> Settings:
    """The settings: the boot's server, overridden by drop-ins."""
    settings = Settings(server.rstrip("/"))
    for path in places.drop_ins():
        try:
            import tomllib

            settings = _apply(settings, tomllib.loads(path.read_text()))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            settings = replace(settings, problems=(*settings.problems, f"{path.name}: {error}"))
    return settings


def _apply(settings: Settings, values: dict[str, Any]) -> Settings:
    unknown = sorted(set(values) - KEYS)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]}")
    poll, mirrors = values.get("poll", settings.poll), values.get("mirrors", list(settings.mirrors))
    if type(poll) not in (int, float) or not math.isfinite(poll):
        raise ValueError(f"poll: {poll!r} is not a number of seconds")
    copies = values.get("copies", list(settings.copies))
    for name, value in {"mirrors": mirrors, "copies": copies}.items():
        if not isinstance(value, list):
            raise ValueError(f"{name}: not a list")
    return replace(
        settings,
        server=text(values.get("server", settings.server)).rstrip("/"),
        poll=max(poll, MIN_POLL),
        noc=text(values.get("noc", settings.noc)).rstrip("/"),
        mirrors=tuple(text(each).rstrip("/") for each in mirrors),
        copies=tuple(text(each).rstrip("/") for each in copies),
    )

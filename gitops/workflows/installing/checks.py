"""Does this machine have what TowerOS needs of it? Asked before anything is begun, and when something fails.

In: what the machine is for, and its settings. Out: findings, each with what to do. Rules: nothing is changed, nothing
is fetched; a check that cannot be made is a warning and no failure; no finding holds a secret. `bad` means that
something named will fail, `warning` that something may.

    findings = examine(Part.controller, settings, works)
    any(finding.state is State.bad for finding in findings)
"""

import ctypes
import http.client
import os
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gitops.errors import TowerosError
from gitops.settings import Settings
from gitops.sign import keys
from gitops.sign.roots.spare import risks
from gitops.source.shipped import home
from gitops.store import Store
from gitops.store.database import database_url
from gitops.store.files.layout import Layout
from gitops.workflows.installing.programs import Part, Program, apt_line, of

GIB = 1 << 30
NEEDED, LITTLE = 5 * GIB, 25 * GIB
"""Bytes of the state folder's disk: a first build leaves 3 GiB and wants room; below `LITTLE` it is soon full."""
MADE = 1_780_000_000
"""Unix seconds: this version was not there before. A clock that says less is wrong."""
PYTHON = (3, 11)
TIME_ERROR, TIMEX = 5, 208
"""adjtimex(2): the clock is not synchronised; bytes of `struct timex` on 64-bit Linux."""
SECONDS = 3.0


class State(StrEnum):
    """How a check ended."""

    ok = "ok"
    warning = "warning"
    bad = "missing"


@dataclass(frozen=True)
class Finding:
    """`what` was looked at, what was found, and what to type or change; `program` where it is one."""

    what: str
    state: State
    found: str
    fix: str = ""
    program: Program | None = None


def examine(part: Part, settings: Settings, kvm: Callable[[], bool]) -> list[Finding]:
    """Look at everything that the part needs. `kvm`: whether a guest runs by it here."""
    found = [*_programs(part, settings.builder), _python(), _whole(), _zones(), _clock(time.time(), synchronised())]
    if part is Part.vm:
        return [*found, _kvm(kvm())]
    found += [_root(settings.builder)] if part is Part.controller else []
    found += [*_state(settings), *_database(settings), _port(settings.listen)]
    if part is not Part.controller:
        return found
    if settings.people_listen not in ("", settings.listen):
        found.append(_port(settings.people_listen, "people's port", "people_listen"))
    return [*found, *_audit(Layout(settings.state).audit), *_controller(settings)]


def install(findings: list[Finding]) -> str:
    """The line that brings every program that is missing; empty when none is."""
    return apt_line(each.program for each in findings if each.program and each.state is State.bad)


def _programs(part: Part, builder: str) -> Iterator[Finding]:
    for program in of(part, builder):
        name = program.name.rpartition("/")[2]
        fix = apt_line([program])
        if not program.here():
            yield Finding(name, State.bad, f"is not here: {program.why}", fix, program)
        elif program.least and (version := program.version()) < program.least:
            said, least = ".".join(map(str, version)) or "unknown", ".".join(map(str, program.least))
            state = State.bad if version else State.warning
            yield Finding(name, state, f"version {said}, at least {least} is needed: {program.why}", fix, program)
        else:
            yield Finding(name, State.ok, program.why)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info[:2] >= PYTHON
    return Finding("python", State.ok if good else State.bad, version, "" if good else "install Python 3.11 or newer")


def _whole() -> Finding:
    """What `toweros init` copies."""
    try:
        files = sum(len(home.tree(name).entries()) for name in ("boot", "pkg", "fleet-repo-template"))
    except TowerosError as error:
        return Finding("installation", State.bad, error.message, error.hint)
    return Finding("installation", State.ok, f"{'a wheel' if home.installed() else 'a checkout'}, {files} files")


def _zones() -> Finding:
    """A small image of Debian has none: every pass needs one."""
    try:
        ZoneInfo("UTC")
    except ZoneInfoNotFoundError:
        return Finding("time zones", State.bad, "none is known: windows are said in them", "apt-get install tzdata")
    return Finding("time zones", State.ok, "windows are said in them")


def _root(builder: str) -> Finding:
    if os.geteuid() == 0:
        return Finding("root", State.ok, "builds unpack and mount as root")
    why = f"this is user {os.geteuid()}; builds unpack and mount as root"
    fix = "run the controller as root; `toweros server` needs none"
    return Finding("root", State.bad if builder == "buildah" else State.warning, why, fix)


def _state(settings: Settings) -> Iterator[Finding]:
    place = next(path for path in (settings.state, *settings.state.resolve().parents) if path.is_dir())
    if not os.access(place, os.W_OK):
        fix = "as root: `install -d -m 750` it, or name another `state`"
        yield Finding("state", State.bad, f"{place} cannot be written", fix)
        return
    usage = shutil.disk_usage(place)
    words = f"{settings.state}: {usage.free / GIB:.1f} GiB of {usage.total / GIB:.1f} are free"
    if usage.free < NEEDED:
        yield Finding("disk", State.bad, words, f"a first build needs {NEEDED // GIB} GiB")
    elif usage.free < LITTLE:
        yield Finding("disk", State.warning, words, f"have {LITTLE // GIB} GiB or more (docs/deploy.md, Sizing)")
    else:
        yield Finding("disk", State.ok, words)


def _database(settings: Settings) -> Iterator[Finding]:
    """Only one that is there: none is made."""
    name = "database"
    try:
        url = database_url(settings)
        if not url and not Layout(settings.state).database.is_file():
            yield Finding(name, State.ok, "SQLite, in the state folder; none yet")
            return
        Store.of(settings).states.one("")
    except TowerosError as error:
        yield Finding(name, State.bad, error.message, error.hint)
    else:
        yield Finding(name, State.ok, "PostgreSQL" if url else "SQLite, in the state folder")


def _audit(folder: Path) -> Iterator[Finding]:
    """No act of a person is done without its line there."""
    if folder.is_dir() and not os.access(folder, os.W_OK):
        fix = "mend its owner and mode: people's acts are refused until then (docs/audit.md)"
        yield Finding("audit log", State.bad, f"{folder} cannot be written", fix)


def _port(listen: str, what: str = "port", setting: str = "listen") -> Finding:
    host, _, port = listen.rpartition(":")
    try:
        if not 0 < int(port) < 1 << 16:
            raise ValueError("is no ADDRESS:PORT")
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]") or None, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, ValueError, OverflowError) as error:
        if _answers(listen):
            return Finding(what, State.ok, f"{listen}: an update server of ours answers there")
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        return Finding(what, State.bad, f"{listen}: {why.lower()}", f"name another `{setting}` (docs/settings.md)")
    return Finding(what, State.ok, f"{listen} is free")


def _answers(listen: str) -> bool:
    host, _, port = listen.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}.get(host, host)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine is asked, and no proxy
    try:
        with direct.open(f"http://{host}:{port}/healthz", timeout=SECONDS) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError, http.client.HTTPException):
        return False


def synchronised() -> bool | None:
    """Whether something keeps the clock right, by the kernel's word (adjtimex(2)); None: it does not say."""
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(TIMEX))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != TIME_ERROR


def _clock(now: float, kept: bool | None) -> Finding:
    said = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    if now < MADE:
        return Finding(
            "clock", State.bad, f"{said} is before this version was made", "set it: signatures are dated by it"
        )
    if not kept:
        why = "the kernel does not say that it is kept right" if kept is None else "nothing keeps it right"
        return Finding("clock", State.warning, f"{said}; {why}", "install chrony or systemd-timesyncd")
    return Finding("clock", State.ok, f"{said}, kept right")


def _kvm(works: bool) -> Finding:
    if works:
        return Finding("kvm", State.ok, "machines run by KVM")
    fix = "switch virtualisation on (firmware, or the host's nested KVM)"
    return Finding("kvm", State.warning, "no guest runs by KVM here: machines are emulated, some ten times slower", fix)


def _controller(settings: Settings) -> Iterator[Finding]:
    """What the settings name has to be there."""
    if not settings.repository:
        fix = "`toweros init DIR`, then `repository` in toweros.toml"
        yield Finding("repository", State.bad, "the settings name none", fix)
    elif "://" not in settings.repository and "@" not in settings.repository:
        here = Path(settings.repository).is_dir()
        where = settings.repository if here else f"{settings.repository} is not there"
        yield Finding("repository", State.ok if here else State.bad, where, "" if here else "mend `repository`")
    else:
        yield Finding("repository", State.ok, "a remote: `toweros plan` asks it")
    yield _keys(settings.keys)
    yield from (Finding("root keys", State.warning, risk.what, risk.fix) for risk in risks(settings.keys))
    for name in ("database_file", "git_token_file", "forge_token_file", "hook_secret_file", "ssh_key", "registry_auth"):
        if (path := getattr(settings, name)) is not None and (finding := _secret(name, path)):
            yield finding


def _keys(folder: Path) -> Finding:
    try:
        keys.load_online(folder)
    except TowerosError as error:
        return Finding("keys", State.bad, error.message, error.hint)
    return Finding("keys", State.ok, f"{folder}: `toweros keys status` says what expires")


def _secret(name: str, path: Path) -> Finding | None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return Finding(name, State.bad, f"{path}: {(error.strerror or '').lower()}", f"write it, or mend `{name}`")
    if mode & 0o007:
        return Finding(name, State.warning, f"{path} can be read by everybody", f"chmod 600 {path}")
    return None

"""`packages.lock`: what a package is made from, by version and digest; made by `toweros lock`.

    # locked for packages.in sha256:...; made by `toweros lock`
    deb openssh-server 1:10.0p1-7 <sha256> <size> pool/main/o/openssh/...deb
    deb tool 1.4 <sha256> <size> https://packages.example/apt/pool/tool_1.4_amd64.deb
    fetch modem.bin 9f86d081884c <sha256> <size> https://files.example/modem-1.2.bin
    wheel tuf 7.0.1 <sha256> <size> tuf-7.0.1-py3-none-any.whl

Lines are sorted; sizes are bytes. A path is below Debian's mirrors, an address is somebody else's. A Debian package
whose source has another name or version says both at the end: `deb login 1:4.16.0-2 <sha256> <size> pool/... util-linux
2.41-5`. A fetched file has no version; the beginning of its digest stands there, so that people see it change. Wheels,
fetched files and addresses are those that packages.in asks for, and no others.
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from gitops.errors import Problem
from gitops.fleet.packages.wanted import ADDRESS, DEB, FILE, Fetch, Wanted, parse_wanted, rows
from gitops.model import FETCHED, LockedFile, sha256

HEADER = "# locked for packages.in sha256:"
_PATH = re.compile(r"[A-Za-z0-9+._~%:-]+(/[A-Za-z0-9+._~%:-]+)*")
_WHEEL_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~!_-]*")
NO_LINE = "not a line of a lock"
_NAMES = {"deb": DEB, "wheel": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), FETCHED: FILE}
"""What a name may be, by kind: programs that fetch get them as arguments, and would take an address as well."""


def parse_lock(data: bytes, file: str, wanted: bytes, problems: list[Problem]) -> tuple[LockedFile, ...]:
    """Read a packages.lock; `wanted` is the packages.in that it must have been made from."""
    hint = f"run `toweros lock {file.rpartition('/')[0]}`"
    if data.splitlines()[:1] not in ([f"{HEADER}{digest}".encode()] for digest in (sha256(wanted), _digest(wanted))):
        problems.append(Problem(file, 1, 1, "not made from the packages.in beside it", hint))
    asked = parse_wanted(wanted, file, [])  # its own mistakes are told where it is read
    locked: dict[tuple[str, str], LockedFile] = {}
    for number, words in rows(data):
        entry = _entry(words)
        if entry is None:
            problems.append(Problem(file, number, 1, NO_LINE, hint))
        elif (entry.kind, entry.filename) in locked:
            problems.append(Problem(file, number, 1, f"two files are called `{entry.filename}`", hint))
        else:
            locked[entry.kind, entry.filename] = entry
            if not _is_asked(entry, asked):
                problems.append(Problem(file, number, 1, f"packages.in asks for no {_shown(entry)}", hint))
    return tuple(locked.values())


def dump_lock(wanted: bytes, files: Iterable[LockedFile]) -> bytes:
    """The text of a packages.lock."""
    return "\n".join([f"{HEADER}{_digest(wanted)}", *sorted(map(_row, files)), ""]).encode()


def _digest(wanted: bytes) -> str:
    """Of a packages.in as Git has it: a clone on Windows may write other line ends."""
    return sha256(wanted.replace(b"\r\n", b"\n"))


def fetched(wanted: Fetch, size: int) -> LockedFile:
    """The line of a file that was asked for by digest."""
    return LockedFile(FETCHED, wanted.name, wanted.sha256[:12], wanted.sha256, size, wanted.url)


def is_sound(file: LockedFile) -> bool:
    """Whether a lock can say it: what an index says of a package need not be."""
    return _entry(_row(file).split()) == file


def _row(file: LockedFile) -> str:
    words = (file.kind, file.name, file.version, file.sha256, str(file.size), file.path)
    return " ".join(filter(None, (*words, file.source, file.source_version)))


def _entry(words: list[str]) -> LockedFile | None:
    if len(words) not in (6, 8) or words[0] not in _NAMES:
        return None
    kind, name, version, digest, size, path = words[:6]
    sound = re.fullmatch("[0-9a-f]{64}", digest) and re.fullmatch("[0-9]{1,11}", size) and _is_place(kind, path)
    if not sound or not _NAMES[kind].fullmatch(name) or not _VERSION.fullmatch(version):
        return None
    if words[6:] and not (kind == "deb" and DEB.fullmatch(words[6]) and _VERSION.fullmatch(words[7])):
        return None
    return LockedFile(kind, name, version, digest, int(size), path, *words[6:])


def _is_asked(file: LockedFile, asked: Wanted) -> bool:
    """Whoever may sign locks alone says which version, not whose. What Debian's packages need is Debian's to say."""
    if file.kind == FETCHED:
        return any(file == fetched(each, file.size) for each in asked.fetches)
    if file.kind == "wheel":
        return f"{file.name}=={file.version}" in asked.wheels
    source = dict(asked.extra).get(file.name)
    return not file.elsewhere or any(file.path.startswith(f"{e.url}/") for e in asked.sources if e.name == source)


def _shown(file: LockedFile) -> str:
    return f"`{file.kind} {file.name}` at {file.path}" if file.elsewhere else f"`wheel {file.name}=={file.version}`"


def _is_place(kind: str, path: str) -> bool:
    """A path below Debian's mirrors, a wheel's file, or an address of a Debian package or a file by digest."""
    if kind == "wheel":
        return bool(_WHEEL_FILE.fullmatch(path))
    # What asks for it reads `%2e` as a dot.
    if ".." in unquote(path).split("/") or (kind == "deb" and not path.endswith(".deb")):
        return False
    if ADDRESS.fullmatch(path):
        return not path.endswith("/")
    return kind == "deb" and bool(_PATH.fullmatch(path))

"""`packages.in` and `packages.lock`: what a package is made from, as people ask for it and as it is pinned.

    packages.in                              packages.lock (made by `toweros lock`)
    # an SSH server                          # locked for packages.in sha256:...; made by `toweros lock`
    deb openssh-server                       deb openssh-server 1:10.0p1-7 <sha256> <size> pool/main/o/openssh/...deb
    assume init-system-helpers               wheel tuf 7.0.1 <sha256> <size> tuf-7.0.1-py3-none-any.whl
    wheel tuf==7.0.1

`deb` takes dependencies along (no recommends), `assume` says what is there already, `rootfs VARIANT` asks for a whole
root by mmdebstrap. Lines are sorted in a lock; sizes are bytes. A Debian package whose source has another name or
version says both at the end: `deb login 1:4.16.0-2 <sha256> <size> pool/... util-linux 2.41-5`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gitops.errors import Problem
from gitops.model import LockedFile, sha256

HEADER = "# locked for packages.in sha256:"
VARIANTS = ("extract", "custom", "essential", "minbase")
_DEB = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!-]+")
_PATH = re.compile(r"[A-Za-z0-9+._~%:-]+(/[A-Za-z0-9+._~%:-]+)*")
_HINT = "write `deb NAME`, `assume NAME...`, `wheel NAME==VERSION` or `rootfs VARIANT`"


@dataclass(frozen=True)
class Wanted:
    """What packages.in asks for. `lines` says where each name stands."""

    debs: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    wheels: tuple[str, ...] = ()
    rootfs: str = ""
    lines: tuple[tuple[str, int], ...] = ()


def parse_wanted(data: bytes, file: str, problems: list[Problem]) -> Wanted:
    """Read a packages.in."""
    names: dict[str, list[str]] = {"deb": [], "assume": [], "wheel": [], "rootfs": []}
    lines: list[tuple[str, int]] = []
    for number, (kind, *words) in _lines(data):
        valid = {"deb": _DEB, "assume": _DEB, "wheel": _WHEEL, "rootfs": re.compile("|".join(VARIANTS))}.get(kind)
        if valid is None or not words or not all(valid.fullmatch(word) for word in words):
            problems.append(Problem(file, number, 1, f"`{kind} {' '.join(words)}` is not understood", _HINT))
            continue
        names[kind] += words
        lines += [(word, number) for word in words]
    rootfs = names["rootfs"][-1] if names["rootfs"] else ""
    return Wanted(tuple(names["deb"]), tuple(names["assume"]), tuple(names["wheel"]), rootfs, tuple(lines))


def parse_lock(data: bytes, file: str, wanted: bytes, problems: list[Problem]) -> tuple[LockedFile, ...]:
    """Read a packages.lock; `wanted` is the packages.in that it must have been made from."""
    hint = f"run `toweros lock {file.rpartition('/')[0]}`"
    if data.splitlines()[:1] != [f"{HEADER}{sha256(wanted)}".encode()]:
        problems.append(Problem(file, 1, 1, "not made from the packages.in beside it", hint))
    locked = []
    for number, words in _lines(data):
        entry = _entry(words)
        if entry is None:
            problems.append(Problem(file, number, 1, "not a line of a lock", hint))
        else:
            locked.append(entry)
    return tuple(locked)


def dump_lock(wanted: bytes, files: list[LockedFile]) -> bytes:
    """The text of a packages.lock."""
    rows = [(f.kind, f.name, f.version, f.sha256, str(f.size), f.path, f.source, f.source_version) for f in files]
    lines = sorted(" ".join(filter(None, row)) for row in rows)
    return "\n".join([f"{HEADER}{sha256(wanted)}", *lines, ""]).encode()


def _entry(words: list[str]) -> LockedFile | None:
    if len(words) not in (6, 8) or words[0] not in ("deb", "wheel"):
        return None
    kind, name, version, digest, size, path = words[:6]
    sound = re.fullmatch("[0-9a-f]{64}", digest) and re.fullmatch("[0-9]{1,11}", size) and _PATH.fullmatch(path)
    if not sound or ".." in path.split("/"):
        return None
    return LockedFile(kind, name, version, digest, int(size), path, *words[6:])


def _lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            yield number, words

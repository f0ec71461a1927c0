"""The files of layer tars, by digest, without unpacking anything.

In: a tar. Out: path -> what is there. Rules: /bin, /sbin, /lib, /lib64 are links in our images, so a path below them is
told as below usr/; a tar inside of a layer (a kernel's modules) is looked into; whiteouts are no files.

    digests(Path("layer.tar"))["usr/bin/busybox"].sha256
"""

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MERGED = ("bin", "sbin", "lib", "lib64")
"""Folders that are links to those of the same name below usr/ (Debian's merged /usr)."""
WHITEOUT = ".wh."
NESTED = ".tar"
OS_RELEASE = ("usr/lib/os-release", "etc/os-release")
CHUNK = 1 << 20
SMALL = 1 << 16
"""Bytes of an os-release that are read."""


@dataclass(frozen=True)
class Content:
    """What a file holds; `head` is the beginning of an os-release, and empty for anything else. SPDX wants a SHA-1 of
    each file that it lists (SPDX 2.3, 8.4); nobody here relies on one."""

    sha256: str
    size: int
    head: bytes = b""
    sha1: str = ""


def normal(path: str) -> str:
    """A member's path as it is in a running system, without the first slash."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/".join(["usr", *parts] if parts and parts[0] in MERGED else parts)


def digests(tar: Path) -> dict[str, Content]:
    """Every regular file of a tar. Raises tarfile.TarError, OSError or EOFError when it is none."""
    with tarfile.open(tar, "r:") as archive:
        return read_members(archive)


def read_members(archive: tarfile.TarFile, prefix: str = "") -> dict[str, Content]:
    """Every regular file of an open tar, hard links with the content that they share."""
    found: dict[str, Content] = {}
    for member in archive:
        path = prefix + normal(member.name)
        if path.rpartition("/")[2].startswith(WHITEOUT):
            continue
        if member.islnk() and (shared := found.get(prefix + normal(member.linkname))):
            found[path] = shared
        stream = archive.extractfile(member) if member.isreg() else None
        if stream is None:
            continue
        found[path] = _content(stream, path)
        if path.endswith(NESTED):
            stream.seek(0)
            found |= _nested(stream)
    return found


def _content(stream: IO[bytes], path: str) -> Content:
    digest, weak, size, head = hashlib.sha256(), hashlib.sha1(usedforsecurity=False), 0, b""
    while chunk := stream.read(CHUNK):
        head = head or chunk[:SMALL]
        digest.update(chunk)
        weak.update(chunk)
        size += len(chunk)
    return Content(digest.hexdigest(), size, head if path in OS_RELEASE else b"", weak.hexdigest())


def _nested(stream: IO[bytes]) -> dict[str, Content]:
    try:
        with tarfile.open(fileobj=stream, mode="r:") as inner:
            return read_members(inner)
    except (tarfile.TarError, EOFError):
        return {}  # only its name was a tar's


def distribution(os_release: bytes) -> str:
    """`debian:13` out of an os-release (os-release(5)); empty when it does not say."""
    rows = dict(line.split("=", 1) for line in os_release.decode(errors="replace").splitlines() if "=" in line)
    name, version = (rows.get(key, "").strip().strip("\"'") for key in ("ID", "VERSION_ID"))
    return f"{name}:{version}" if name and version else name

"""A line of a lock as the component that advisories speak of. Pure.

In: a `LockedFile`. Out: a `Component`. Rules: a lock made before it had a column for the source has it in the path
(pool/main/o/openssl/...); a rebuild without changes (`+b1`) is its source's version; of a source that only signs what
another one built (`linux-signed-amd64`), advisories name that one (Debian policy 7.8): a kernel must not look clean.

    of_lock(file).source        # "linux", of linux-image-6.12.117+deb13-amd64
"""

import re
from urllib.parse import urlsplit

from gitops.model import FETCHED, Component, Ecosystem, LockedFile

POOL = re.compile(r"pool/.+/([a-z0-9][a-z0-9+.-]+)/[^/]+$")
REBUILT = re.compile(r"\+b\d+$")
SIGNED = re.compile(r"-signed(-[a-z0-9]+)?$")


def of_lock(file: LockedFile) -> Component:
    """A component as far as the lock knows it."""
    if file.kind == FETCHED:
        return Component(Ecosystem.generic, file.name, file.version, file.path, file.version, (), file.sha256)
    if file.kind == "wheel":
        name = re.sub(r"[-_.]+", "-", file.name).lower()
        return Component(Ecosystem.pypi, name, file.version, name, file.version, (), file.sha256)
    source, version = unsigned(file.source or _pool(file.path) or file.name, file.source_version or file.version)
    return Component(Ecosystem.debian, file.name, file.version, source, version, (), file.sha256, server(file))


def server(file: LockedFile) -> str:
    """Whose package it is, where it is not Debian's: advisories of Debian do not speak of it."""
    return (urlsplit(file.path).hostname or "") if file.elsewhere else ""


def unsigned(source: str, version: str) -> tuple[str, str]:
    """The source that was built, and its version. What signs counts its own uploads by `+N` for a revision `-N`."""
    version = REBUILT.sub("", version)
    if not SIGNED.search(source):
        return source, version
    return SIGNED.sub("", source), re.sub(r"^([^-]+)\+(\d+)$", r"\1-\2", version)


def _pool(path: str) -> str:
    found = POOL.search(path)
    return found[1] if found else ""

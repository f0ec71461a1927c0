"""A line of a lock as the component that advisories speak of. Pure.

In: a `LockedFile`. Out: a `Component`. Rules: a lock made before it had a column for the source has it in the path
(pool/main/o/openssl/...); a rebuild without changes (`+b1`) is its source's version; of a source that only signs what
another one built (`linux-signed-amd64`), advisories name that one (Debian policy 7.8): a kernel must not look clean.

    of_lock(file).source        # "linux", of linux-image-6.12.117+deb13-amd64
"""

import re
from urllib.parse import urlsplit

from gitops.model import FETCHED, Component, Ecosystem, LockedFile

POOL = re.compile(r"pool/.+/(lib[a-z0-9]|[a-z0-9])/(\1[a-z0-9+.-]*)/[^/]+$")
"""Debian's own layout: pool/main/o/openssl, pool/main/libz/libzstd. Other people's folders name no source."""
REBUILT = re.compile(r"\+b\d+$")
SIGNED = re.compile(r"(-amd64|-arm64|-i386)?-signed(-[a-z0-9]+)?$")
BUILT = {"grub-efi": "grub2", "shim-helpers": "shim", "systemd-boot-efi": "systemd"}
"""The source that was built, where it has another name than the one that signs it."""
COUNTED = frozenset({"grub-efi", "shim-helpers"})
"""Those that sign and put a number of their own before the version: `1+2.12+9` is of 2.12-9."""


def of_lock(file: LockedFile) -> Component:
    """A component as far as the lock knows it."""
    if file.kind == FETCHED:
        return Component(Ecosystem.generic, file.name, file.version, file.path, file.version, (), file.sha256)
    if file.kind == "wheel":
        name = re.sub(r"[-_.]+", "-", file.name).lower()
        return Component(Ecosystem.pypi, name, file.version, name, file.version, (), file.sha256)
    source = file.source or _pool(file.path) or file.name
    source, version = unsigned(source, file.source_version or file.version, file.version)
    return Component(Ecosystem.debian, file.name, file.version, source, version, (), file.sha256, server(file))


def server(file: LockedFile) -> str:
    """Whose package it is, where it is not Debian's: advisories of Debian do not speak of it."""
    return (urlsplit(file.path).hostname or "") if file.elsewhere else ""


def unsigned(source: str, version: str, binary: str) -> tuple[str, str]:
    """The source that was built, and its version. What signs counts its own uploads by `+N` for a revision `-N`.

    Of shim, the version that was built stands in the package's (`binary`) alone: 1.47+15.8-1 is of 15.8-1.
    """
    version = REBUILT.sub("", version)
    if not SIGNED.search(source):
        return source, version
    name = SIGNED.sub("", source)
    if name == "shim":
        return name, re.sub(r"^[^-]*\+(?=[^+-]+-)", "", REBUILT.sub("", binary))
    if name in COUNTED:
        version = re.sub(r"^\d+\+(?=.*\+)", "", version)
    return BUILT.get(name, name), re.sub(r"^([^-]*?)\+(\d+(?:[+~.][^-]*)?)$", r"\1-\2", version)


def _pool(path: str) -> str:
    found = POOL.search(path)
    return found[2] if found else ""

"""What a new lock changes, by source package: those are what advisories and changelogs speak of.

In: a package's locked files before and after. Out: a row for each source whose versions are others. Rules: a lock that
is older than its column for the source has it from the newer one, or in the file's path.

    moved(before, after)        # ["openssl    3.5.7-1 -> 3.5.9-1", "wheel tuf  7.0.0 -> 7.0.1"]
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from gitops.model import LockedFile

POOL = re.compile(r"pool/.+/(lib[a-z0-9]|[a-z0-9])/(\1[a-z0-9+.-]*)/[^/]+$")
"""Debian's own layout: pool/main/o/openssl, pool/main/libz/libzstd. Other people's folders name no source."""
REBUILT = re.compile(r"\+b\d+$")


def moved(before: Iterable[LockedFile], after: Iterable[LockedFile]) -> list[str]:
    """`NAME  OLD -> NEW`, sorted by name; `-` where there is none. Versions of one source stand side by side."""
    later = tuple(after)
    sources = {file.name: file.source for file in later if file.kind == "deb" and file.source}
    old, new = _versions(_told(file, sources) for file in before), _versions(later)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    width = max(map(len, names), default=0)
    return [f"{name:{width}}  {_text(old, name)} -> {_text(new, name)}" for name in names]


def _told(file: LockedFile, sources: dict[str, str]) -> LockedFile:
    if file.kind != "deb" or file.source:
        return file
    path = POOL.search(file.path)
    source = sources.get(file.name) or (path[2] if path else file.name)
    return replace(file, source=source, source_version=REBUILT.sub("", file.version))


def _versions(files: Iterable[LockedFile]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in files:
        name = file.source or file.name
        shown = name if file.kind == "deb" else f"{file.kind} {name}"
        found.setdefault(shown, set()).add(file.source_version or file.version)
    return found


def _text(versions: dict[str, set[str]], name: str) -> str:
    return ", ".join(sorted(versions.get(name, ()))) or "-"

"""What a new lock changes, by source package: those are what advisories and changelogs speak of.

In: a package's locked files before and after. Out: a row for each source whose versions are others.

    moved(before, after)        # ["openssl    3.5.7-1 -> 3.5.9-1", "wheel tuf  7.0.0 -> 7.0.1"]
"""

from collections.abc import Iterable

from gitops.model import LockedFile


def moved(before: Iterable[LockedFile], after: Iterable[LockedFile]) -> list[str]:
    """`NAME  OLD -> NEW`, sorted by name; `-` where there is none. Versions of one source stand side by side."""
    old, new = _versions(before), _versions(after)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    width = max(map(len, names), default=0)
    return [f"{name:{width}}  {_text(old, name)} -> {_text(new, name)}" for name in names]


def _versions(files: Iterable[LockedFile]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in files:
        name = file.source or file.name
        shown = name if file.kind == "deb" else f"{file.kind} {name}"
        found.setdefault(shown, set()).add(file.source_version or file.version)
    return found


def _text(versions: dict[str, set[str]], name: str) -> str:
    return ", ".join(sorted(versions.get(name, ()))) or "-"

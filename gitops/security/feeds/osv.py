"""One record in the OSV schema (1.x). Pure.

In: a parsed record. Out: an advisory per affected package of Debian, Ubuntu or PyPI. Rules:

- a record's own id gives way to its CVE when it speaks of one alone, so that two feeds agree on it;
- ranges of Git commits say nothing about versions; events are sorted, as the schema asks for no order;
- a withdrawn record is none; packages of other ecosystems are left out.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from gitops.model import Advisory, Affected, Ecosystem, Scope, Severity
from gitops.security.feeds.entries import Entries, Unread, mapping, names, sequence, text, title
from gitops.security.feeds.severity import of_vector, of_words
from gitops.security.versions import is_older

CVE = re.compile(r"CVE-\d{4}-\d{4,}")
DISTRIBUTION = re.compile(r"(Debian|Ubuntu):(\d{1,2}(?:\.\d\d)?)(?::LTS)?")
VERSIONS = 5000
"""Versions that one record may list."""
FIRST, INTRODUCED, FIXED, LAST = "0", "introduced", "fixed", "last_affected"
ORDER = (FIXED, INTRODUCED, LAST)
"""At one version: what ends there ends first, and the last affected version is still affected."""


def advisories(record: Any) -> Entries:
    """What a record says of packages that we can compare."""
    name = "a record"
    try:
        name = text(mapping(record, "the record").get("id"), "id", 100)
        yield from _record(name, record)
    except ValueError as error:
        yield Unread(name, str(error))


def _record(name: str, record: dict[str, Any]) -> list[Advisory]:
    if record.get("withdrawn"):
        return []
    others = names(
        [*sequence(record.get("aliases") or [], "aliases"), *sequence(record.get("upstream") or [], "upstream")]
    )
    cves = [each for each in dict.fromkeys((name, *others)) if CVE.fullmatch(each)]
    own = cves[0] if len(cves) == 1 else name
    aliases = tuple(each for each in dict.fromkeys((name, *others)) if each != own)
    about = title(record.get("summary") or record.get("details"))
    affected = [mapping(each, "affected") for each in sequence(record.get("affected") or [], "affected")]
    return [
        Advisory(
            id=own,
            ecosystem=scope.ecosystem,
            distribution=scope.distribution,
            source=source,
            severity=_severity(each, record),
            ranges=tuple(_ranges(scope.ecosystem, each)),
            versions=_versions(scope.ecosystem, each),
            aliases=aliases,
            title=about,
        )
        for each in affected
        for scope, source in _package(each)
    ]


def _package(affected: dict[str, Any]) -> Iterator[tuple[Scope, str]]:
    package = mapping(affected.get("package") or {}, "package")
    ecosystem = str(package.get("ecosystem", ""))
    if ecosystem == "PyPI":
        yield Scope(Ecosystem.pypi), re.sub(r"[-_.]+", "-", text(package.get("name"), "name")).lower()
    elif found := DISTRIBUTION.fullmatch(ecosystem):
        yield Scope(Ecosystem.debian, f"{found[1].lower()}:{found[2]}"), text(package.get("name"), "name")


def _severity(affected: dict[str, Any], record: dict[str, Any]) -> Severity:
    """The worst of what is said: of the package before of the record, vectors before words."""
    for part in (affected, record):
        rows = [mapping(row, "severity") for row in sequence(part.get("severity") or [], "severity")]
        said = [of_vector(str(row.get("type")), str(row.get("score"))) for row in rows]
        said += [_worded(part, place) for place in ("ecosystem_specific", "database_specific")]
        if known := [each for each in said if each is not Severity.unknown]:
            return min(known, key=lambda each: each.rank)
    return Severity.unknown


def _worded(part: dict[str, Any], place: str) -> Severity:
    specific = part.get(place)
    specific = specific if isinstance(specific, dict) else {}
    return of_words(str(specific.get("severity") or specific.get("urgency") or ""))


def _versions(ecosystem: Ecosystem, affected: dict[str, Any]) -> tuple[str, ...]:
    """Those listed, for an ecosystem whose versions are not all in ranges. Debian's ranges say it all, and more."""
    if ecosystem is Ecosystem.debian and affected.get("ranges"):
        return ()
    versions = sequence(affected.get("versions") or [], "versions")
    if len(versions) > VERSIONS:
        raise ValueError(f"more than {VERSIONS} versions")
    return tuple(text(each, "a version") for each in versions)


def _ranges(ecosystem: Ecosystem, affected: dict[str, Any]) -> Iterator[Affected]:
    for row in sequence(affected.get("ranges") or [], "ranges"):
        if mapping(row, "a range").get("type") != "GIT":
            yield from _pairs(_sorted(ecosystem, _events(row)))


def _events(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for event in sequence(row.get("events"), "events"):
        for kind in (INTRODUCED, FIXED, LAST):
            if kind in mapping(event, "an event"):
                yield kind, text(event[kind], kind)


def _sorted(ecosystem: Ecosystem, events: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    def compare(one: tuple[str, str], other: tuple[str, str]) -> int:
        if one[1] == other[1]:
            return ORDER.index(one[0]) - ORDER.index(other[0])
        if FIRST in (one[1], other[1]):
            return -1 if one[1] == FIRST else 1
        return -1 if is_older(ecosystem, one[1], other[1]) else 1

    return sorted(events, key=functools.cmp_to_key(compare))


def _pairs(events: Iterable[tuple[str, str]]) -> Iterator[Affected]:
    """Each time that it begins, with the end that follows."""
    begun: str | None = None
    for kind, version in events:
        if kind == INTRODUCED:
            begun = version if begun is None else begun
        elif begun is not None:
            start = "" if begun == FIRST else begun
            yield Affected(start, version, "") if kind == FIXED else Affected(start, "", version)
            begun = None
    if begun is not None:
        yield Affected("" if begun == FIRST else begun)

"""A feed's advisories as one file: compressed lines, one for each source package, found without reading the others.

In: advisories in any order. Out: gzip of lines `ecosystem TAB distribution TAB source TAB JSON`, sorted: the same
advisories give the same bytes. Rules: what is not asked for is not parsed.

    data, counts = build(advisories)
    find(data, {(Scope(Ecosystem.debian, "debian:13"), "openssl")})
"""

import gzip
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields

from gitops.errors import DocumentError
from gitops.model import Advisory, Affected, Decision, Ecosystem, Scope, Severity, canonical

Key = tuple[Scope, str]
MEMBERS = tuple(member.name for member in fields(Advisory))
RANGE = tuple(member.name for member in fields(Affected))


def build(advisories: Iterable[Advisory]) -> tuple[bytes, Mapping[Scope, int]]:
    """The file, and how many advisories there are for each scope."""
    lines: dict[Key, set[str]] = defaultdict(set)
    counts: Counter[Scope] = Counter()
    for each in advisories:
        rows, row = lines[each.scope, each.source], _row(each)
        counts[each.scope] += row not in rows
        rows.add(row)
    text = "".join(
        f"{scope.ecosystem}\t{scope.distribution}\t{source}\t[{','.join(sorted(lines[scope, source]))}]\n"
        for scope, source in sorted(lines)
    )
    return gzip.compress(text.encode(), compresslevel=3, mtime=0), counts


def find(data: bytes, keys: Collection[Key]) -> dict[Key, tuple[Advisory, ...]]:
    """What the file says of some sources.

    Raises:
        DocumentError: it is damaged.
    """
    wanted = {f"{scope.ecosystem}\t{scope.distribution}\t{source}".encode(): (scope, source) for scope, source in keys}
    try:
        found = [(wanted[key], row) for key, row in _lines(data) if key in wanted]
        return {(scope, source): tuple(_read(scope, source, json.loads(row))) for (scope, source), row in found}
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise DocumentError(f"the index of advisories is damaged: {error}", hint="it is made again soon") from error


def _lines(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not data:
        raise EOFError("it is empty")
    for line in gzip.decompress(data).splitlines():
        key, _, row = line.rpartition(b"\t")
        yield key, row


def _row(each: Advisory) -> str:
    """Only what is not empty."""
    ranges = [[getattr(pair, name) for name in RANGE] for pair in each.ranges]
    row = {"ranges": ranges} | {name: getattr(each, name) for name in MEMBERS if name not in OUTSIDE}
    return canonical({name: value for name, value in row.items() if value}).decode()


OUTSIDE = ("ranges", "ecosystem", "distribution", "source")


def _read(scope: Scope, source: str, rows: list[dict[str, object]]) -> Iterator[Advisory]:
    for row in rows:
        values: dict[str, object] = {**row, "ecosystem": Ecosystem(scope.ecosystem), "distribution": scope.distribution}
        values["severity"] = Severity(str(row.get("severity", Severity.unknown)))
        values["decision"] = Decision(str(row.get("decision", "")))
        values["ranges"] = tuple(Affected(*pair) for pair in row.get("ranges", ()))  # type: ignore[attr-defined]
        for name in ("versions", "aliases"):
            values[name] = tuple(row.get(name, ()))  # type: ignore[arg-type]
        yield Advisory(source=source, **values)  # type: ignore[arg-type]

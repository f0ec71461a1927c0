"""0.2.0: what is asked of every box at once gets columns, filled from the documents; releases get a table; a lease."""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from gitops.model import canonical, sha256

revision = "0002"
down_revision = "0001"

Row = dict[str, Any]
Columns = Iterable[tuple[str, Any]]
DIGEST, BOX, TEXT, NUMBER = sa.String(64), sa.String(63), sa.Text(), sa.BigInteger()
OFFER = (
    *(("box_key", DIGEST), ("release", DIGEST), ("content", DIGEST), ("revision", TEXT), ("sequence", NUMBER)),
    *(("blobs", TEXT), ("layers", TEXT), ("document", TEXT)),
)
REPORT = (
    *(("received", NUMBER), ("since", NUMBER), ("release", DIGEST), ("content", DIGEST), ("sequence", NUMBER)),
    *(("health", sa.String(16)), ("phase", sa.String(100)), ("error", TEXT), ("failures", TEXT), ("failed", TEXT)),
    ("document", TEXT),
)
RELEASE = (("content", DIGEST), ("revision", TEXT), ("published", NUMBER))
HOLD = (("reason", sa.String(32)), ("detail", TEXT))
LEASE = (("token", NUMBER), ("renewed", NUMBER), ("since", NUMBER), ("holder", TEXT), ("folder", DIGEST))


def upgrade() -> None:
    """`contents` (release digest -> content digest, empty: nobody knows) is a function of who has the documents."""
    contents: Callable[[str], str] = context.config.attributes["contents"]
    offers = [row for name in ("publications", "candidates") for row in _again(name, OFFER, _offer)]
    releases = _releases(offers, contents)
    _fill(_make("releases", "release", DIGEST, RELEASE), releases)
    op.create_index("ix_releases_published", "releases", ["published"])
    known = {row["release"]: row["content"] for row in releases}
    _again("reports", REPORT, lambda document: _report(document, known))
    _make("holds", "box", BOX, HOLD)
    _make("leases", "name", BOX, LEASE)
    op.execute("DELETE FROM values_ WHERE name IN ('revisions', 'held')")


def _make(name: str, key: str, kind: Any, columns: Columns) -> sa.Table:
    rest = [sa.Column(column, each, nullable=False) for column, each in columns]
    return op.create_table(name, sa.Column(key, kind, primary_key=True), *rest)


def _fill(table: sa.Table, rows: list[Row]) -> None:
    if rows:
        op.bulk_insert(table, rows)


def _documents(name: str) -> list[Row]:
    return [dict(row) for row in op.get_bind().execute(sa.text(f"SELECT * FROM {name}")).mappings()]  # noqa: S608


def _again(name: str, columns: Columns, more: Callable[[Row], Row]) -> list[Row]:
    """Make a table anew, with the old rows and what `more` reads in their documents; returns its rows."""
    rows = [row | more(json.loads(row["document"])) for row in _documents(name)]
    op.drop_table(name)
    _fill(_make(name, "box", BOX, columns), rows)
    return rows


def _offer(document: Row) -> Row:
    content, revision = document["release"]["content"], document["revision"]
    mounted = [layer["root"] for each in content["containers"] for layer in each["layers"]]
    return {
        "release": document["document"]["sha256"],
        "content": sha256(canonical(content)),
        "revision": f"{revision['ref']}@sha1:{revision['commit']}",
        "sequence": revision["sequence"],
        "blobs": " ".join(document[name]["sha256"] for name in ("document", "uki", "addon")),
        "layers": " ".join(dict.fromkeys([*(layer["root"] for layer in content["root"]), *mounted])),
    }


def _report(document: Row, known: dict[str, str]) -> Row:
    words = {name: document[name] for name in ("release", "content", "sequence", "health", "phase")}
    bad = {known[each["release"]] for each in document["failures"] if each["verdict"] == "failed"}
    return words | {
        "error": document.get("error", ""),
        "failures": canonical(document["failures"]).decode(),
        "failed": " ".join(sorted(bad - {""})),
    }


def _releases(offers: list[Row], contents: Callable[[str], str]) -> list[Row]:
    """What was published lately, and what a box went back from: that must not be tried again."""
    failures = [each for row in _documents("reports") for each in json.loads(row["document"])["failures"]]
    revisions = {each["release"]: f"release {each['sequence']}" for each in failures}
    for row in _documents("values_"):
        revisions |= dict(json.loads(row["document"])["rows"]) if row["name"] == "revisions" else {}
    offered, now = {row["release"]: row["content"] for row in offers}, int(time.time())
    return [
        {
            "release": release,
            "content": offered.get(release) or contents(release),
            "revision": revision,
            "published": now,
        }
        for release, revision in revisions.items()
    ]

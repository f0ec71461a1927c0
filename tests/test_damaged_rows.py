"""A bad disk has changed one box's row: that box is held, by name, with what to do; the others have their releases.

And it heals: what can be read beside the damage is written again, the rest by the box's next report.
"""

from dataclasses import replace

import pytest

from gitops.model import HoldReason
from tests.kit.databases import both
from tests.kit.site import CHANGE, OWN, Site

WAITS = {"fleet.yaml": "source: {branch: main}\nsuspended: later\n"}
NO_TEXT = "CAST(x'ff66' AS TEXT)"
"""No UTF-8, which SQLite keeps."""


def damage(site: Site, table: str, column: str, value: str) -> None:
    with site.store._database.write() as connection:
        key = "name" if table == "boxes" else "box"
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = {value} WHERE {key} = 'b'")


def story(site: Site, table: str, column: str, value: str) -> None:
    site.commit(OWN)
    site.run()
    before = site.offers()
    for box in before:
        site.report(box)
    if table in ("candidates", "holds"):  # there is one only while a box waits
        site.commit({**WAITS, **CHANGE})
        site.run()
        site.commit({"fleet.yaml": OWN["fleet.yaml"]})
    else:
        site.commit(CHANGE)
    damage(site, table, column, value)
    done = site.run()
    assert {"a", "c"} <= set(done.published), done.held
    if "b" in done.held:
        assert done.held["b"].reason is HoldReason.CANNOT_BE_OFFERED and "b" not in done.published
        assert "damaged" in done.held["b"].detail or "decode" in done.held["b"].detail, done.held
        assert site.offers()["b"] == before["b"]
    if table == "boxes":
        site.store.boxes.enroll("b", "ab" * 32)
    if (table, column) == ("reports", "document"):  # as the server takes it: nothing of what was before is asked for
        other = site.store.boxes.report("a")
        assert other and site.store.boxes.save_report(replace(other, box="b", counter=99))
    site.report("b")
    assert site.run().held == {} and site.offers()["b"] != before["b"]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("publications", "document", "'x'"),
        ("publications", "document", NO_TEXT),
        ("publications", "sequence", "'x'"),
        ("candidates", "sequence", "'x'"),
        ("candidates", "release", NO_TEXT),
        ("reports", "received", "'x'"),
        ("reports", "phase", NO_TEXT),
        ("reports", "document", NO_TEXT),
        ("holds", "detail", NO_TEXT),
        ("boxes", "enrolled", "'x'"),
    ],
)
def test_a_row_with_something_else_in_it_is_its_box_s_trouble(site: Site, table: str, column: str, value: str) -> None:
    story(site, table, column, value)


@both
@pytest.mark.parametrize(
    ("table", "column"),
    [("reports", "health"), ("reports", "failures"), ("holds", "reason"), ("candidates", "content")],
)
def test_a_word_that_is_none_is_its_box_s_trouble(site: Site, table: str, column: str) -> None:
    story(site, table, column, "'x'")

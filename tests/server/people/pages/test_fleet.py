"""The first page: trouble first, found by whatever an operator knows, as small for ten thousand boxes as for one."""

import gzip
import html
import itertools
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitops.model import Hold, HoldReason
from gitops.model.rollout.course import Course
from gitops.model.rollout.turns import BoxTurn
from gitops.model.rollout.waves import WaveState
from gitops.server.people.documents import Asked, Document
from gitops.server.people.rendering import here
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.directory import Place, Roster
from gitops.store.notes.waves import Aside, Waves
from gitops.store.notes.working import Work
from tests.kit.crowds import COMMIT, REVISION, Crowd, fill

WIRE = 60_000
"""Bytes of the first page, as a browser fetches it that takes no gzip."""


def made(folder: Path, crowd: Crowd, held: dict[str, Hold] | None = None) -> Callable[[Asked], bytes]:
    store = Store.open(folder)
    fill(store, crowd, int(time.time()))
    store.holds.save(held or {})
    return here(store, Settings(state=folder))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Asked], bytes]:
    held = {f"box-{number:05d}": Hold(HoldReason.SUSPENDED, "ada: disk") for number in (3, 4)}
    return made(tmp_path_factory.mktemp("fleet"), Crowd(1000), held)


def boxes(fleet: Callable[[Asked], bytes], query: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(fleet(Asked(Document.fleet, query=query)))["boxes"]
    return rows


def page(fleet: Callable[[Asked], bytes], query: str = "") -> str:
    return fleet(Asked(Document.fleet, query=query, html=True)).decode()


def names(text: str) -> list[str]:
    """The boxes of a page, in its order."""
    return [part.split('"')[0] for part in text.split('<tr id="box-')[1:]]


def test_trouble_comes_first_also_where_it_is_green(fleet: Callable[[Asked], bytes]) -> None:
    text = page(fleet)
    shown = names(text)
    assert len(shown) == 50 and "25 of 1000 boxes in trouble" in text
    row = {name: part for name, part in zip(shown, text.split('<tr id="box-')[1:], strict=True)}
    assert all("bad" in row[name] for name in shown[:25]) and not any(" bad" in row[name] for name in shown[25:])
    assert shown[0] == "box-00096" and "Degraded" in row["box-00096"] and "web: connection refused" in row["box-00096"]
    green = row["box-00112"]
    assert "Healthy" in green and "went back: release 2: failed" in green and shown.index("box-00112") < 25
    assert shown[25:27] == ["box-00003", "box-00004"], "then what somebody holds"


FILTERS = {
    "health=Missing": lambda row: row["health"] == "Missing",
    "silent=yes": lambda row: row["health"] in ("Missing", "Late", "Unknown"),
    "sync=OutOfSync": lambda row: row["sync"] == "OutOfSync",
    "held=yes": lambda row: row["held"],
    "trouble=yes": lambda row: row["health"] in ("Degraded", "Missing") or row["fell_back"],
    "role=role-1": lambda row: row["role"] == "role-1",
    "site=site-007": lambda row: row["site"] == "site-007",
    "label=ring%3D2": lambda row: row["labels"]["ring"] == "2",
    "label=ring%3D9": lambda row: False,
    "label=ring": lambda row: True,
    "revision=5c1e5c1e": lambda row: True,
    "agent=0.1.0": lambda row: True,
    "agent=9": lambda row: False,
    "q=BOX-0001": lambda row: row["box"].startswith("box-0001"),
    "q=.*": lambda row: False,
    "health=Healthy&site=site-001&held=no": lambda row: row["health"] == "Healthy" and row["site"] == "site-001",
}


@pytest.mark.parametrize("query", FILTERS)
def test_each_filter_finds_what_it_says_and_page_and_json_agree(fleet: Callable[[Asked], bytes], query: str) -> None:
    everything = boxes(fleet, "per=500") + boxes(fleet, "per=500&page=2")
    expected = {row["box"] for row in everything if FILTERS[query](row)}
    found = [row["box"] for turn in (1, 2) for row in boxes(fleet, f"{query}&per=500&page={turn}")]
    assert set(found) == expected
    answer = json.loads(fleet(Asked(Document.fleet, query=query)))
    assert answer["total"] == len(expected) and names(page(fleet, query)) == [row["box"] for row in answer["boxes"]]


@pytest.mark.parametrize("sort", ["box", "health", "sync", "role", "site", "revision", "since", "seen"])
def test_both_ways_of_an_order_have_the_same_boxes(fleet: Callable[[Asked], bytes], sort: str) -> None:
    there, back = (boxes(fleet, f"sort={way}{sort}&per=500&page=1") for way in ("", "-"))
    assert len(there) == len(back) == 500 and there != back
    member = {"revision": "running"}.get(sort, sort)
    values = [row[member] for row in there]
    assert values == sorted(values, reverse=sort in ("since", "seen"))
    if sort != "since":  # has no column
        assert 'aria-sort="ascending"' in page(fleet, f"sort={sort}")
        assert 'aria-sort="descending"' in page(fleet, f"sort=-{sort}")


def test_every_box_is_on_one_part_and_beyond_the_end_there_is_the_last(fleet: Callable[[Asked], bytes]) -> None:
    parts = [[row["box"] for row in boxes(fleet, f"per=130&page={turn}")] for turn in range(1, 9)]
    assert sorted(itertools.chain(*parts)) == [f"box-{number:05d}" for number in range(1000)]
    assert [row["box"] for row in boxes(fleet, "per=130&page=500")] == parts[-1]
    text = page(fleet, "page=2")
    assert 'rel="prev" href="/"' in text and 'rel="next" href="/?page=3"' in text and "51 to 100 of 1000" in text


def test_by_site_and_sites_in_trouble_first(fleet: Callable[[Asked], bytes]) -> None:
    rows = boxes(fleet, "group=site&per=100")
    assert [row["site"] for row in rows] == ["site-000"] * 50 + ["site-001"] * 50
    assert '<tr class="group">' in page(fleet, "group=site")
    sites = json.loads(fleet(Asked(Document.sites)))["sites"]
    assert [site["trouble"] for site in sites] == sorted((site["trouble"] for site in sites), reverse=True)
    assert sum(site["boxes"] for site in sites) == 1000 and sum(site["trouble"] for site in sites) == 25
    text = fleet(Asked(Document.sites, query="q=SITE-007", html=True)).decode()
    assert "/?site=site-007" in text and "site-008" not in text


def test_monitors_get_all_boxes_as_ever(fleet: Callable[[Asked], bytes]) -> None:
    answer = json.loads(fleet(Asked(Document.fleet)))
    assert len(answer["boxes"]) == 1000 and answer.keys() == {"controller", "boxes", "pending"}


def test_ten_thousand_boxes_take_no_more_than_a_thousand(tmp_path: Path, fleet: Callable[[Asked], bytes]) -> None:
    large = made(tmp_path, Crowd(10_000, sites=500))
    for each in (fleet, large):
        plain = each(Asked(Document.fleet, html=True))
        packed = each(Asked(Document.fleet, html=True, packed=True))
        assert len(plain) < WIRE and len(packed) < WIRE / 5 and len(gzip.decompress(packed)) < WIRE
    assert 'the first 48 of <a href="/sites">500</a>' in page(large)


def test_who_is_late_is_counted_found_and_in_its_own_colour(tmp_path: Path) -> None:
    make = made(tmp_path, Crowd(9, silent=0, bad=0, behind=0))
    with Store.open(tmp_path)._database.write() as connection:
        connection.exec_driver_sql("UPDATE reports SET received = received - 1000 WHERE box < 'box-00002'")
    assert json.loads(make(Asked(Document.fleet, query="per=1")))["health"] == {"Healthy": 7, "Late": 2}
    for query in ("health=Late", "silent=yes"):
        assert names(page(make, query)) == ["box-00000", "box-00001"]
    text = page(make)
    chip = text.partition('<a href="/?health=Late">')[2].partition("</a>")[0]
    assert 'class="state Late"' in chip and "<b>2</b>" in chip and "9 boxes, none in trouble" in text


def test_whose_turn_it_is_who_stays_behind_and_what_is_built_is_said_and_is_text(tmp_path: Path) -> None:
    evil, store = "<script>alert(1)</script>", Store.open(tmp_path)
    make = made(tmp_path, Crowd(5, silent=0, bad=0, behind=0))
    store.notes.put(BoxTurn(state="held", sequence=9, why=f"a call {evil}", until=1_790_000_000), "box-00001")
    store.notes.put(BoxTurn(state="staged", sequence=9), "box-00002")
    store.notes.put(BoxTurn(3, True), "box-00003")
    store.notes.put(Aside(says={"box-00004": f"stays on {evil}"}))
    store.notes.put(Waves((WaveState("lab", "a" * 64, {"waits": 2}, 0, "", 2, 4),)))
    store.notes.put(Work("build", f"pkg/{evil}", 3, 22, 5, 6, 7 << 20, 1))
    store.notes.put(Course(REVISION, 5, 5), COMMIT)
    whole, one = (make(Asked(*each, html=True)).decode() for each in ((Document.fleet,), (Document.commit, COMMIT)))
    for text in (whole, one):
        assert evil not in text and "3 of 22, 7.0 MiB" in text and "1 failed" in text
        assert "held: box-00001: a call &lt;script" in text and "staged: 1 box have what is to come" in text
        assert "1: stays on &lt;script" in text and "4 commits in a row were overtaken" in text
    assert names(page(make, "turn=held")) == ["box-00001"] and names(page(make, "turn=staged")) == ["box-00002"]
    box = make(Asked(Document.box, "box-00001", html=True)).decode()
    assert evil not in box and 'class="state held"' in box and "until 2026-09-21 14:13 UTC" in box
    assert "Its turn" not in make(Asked(Document.box, "box-00003", html=True)).decode(), "it has nothing to come"


# --- odd fleets ---


@pytest.mark.parametrize("site", ["s" * 200, "\u202eabc", "a&b=c#d?", "🗼" * 100, "--", "%2F"])
def test_whatever_a_site_is_called_its_link_finds_its_boxes(tmp_path: Path, site: str) -> None:
    make = made(tmp_path, Crowd(3, sites=3))
    Store.open(tmp_path).notes.put(Roster({"box-00001": Place("vm", site)}))
    links = re.findall(r'href="/(\?site=[^"]*)"', page(make) + make(Asked(Document.sites, html=True)).decode())
    found = [names(page(make, html.unescape(link)[1:])) for link in {*links}]
    assert ["box-00001"] in found


ODD = ["<script>alert(1)</script>", "\u202eevil\u202c", "🗼" * 500, "a" * 5000, "' onmouseover='x", "{{ 7 * 7 }}"]


def test_a_fleet_without_boxes_says_what_to_do(tmp_path: Path) -> None:
    text = page(made(tmp_path, Crowd(0)))
    assert "No box yet" in text and "toweros box image NAME" in text and "<table" not in text


def test_one_box_is_one_box(tmp_path: Path) -> None:
    text = page(made(tmp_path, Crowd(1, sites=1)))
    assert "1 box, none in trouble" in text and names(text) == ["box-00000"] and 'id="sites"' not in text


def test_a_fleet_that_fell_silent_is_all_trouble(tmp_path: Path) -> None:
    text = page(made(tmp_path, Crowd(60, silent=1, bad=0, behind=0)))
    assert "60 of 60 boxes in trouble" in text and text.count("silent for 1 d") == 50


@pytest.mark.parametrize("said", ODD, ids=["markup", "right to left", "emoji", "long", "quotes", "template"])
def test_whatever_a_box_says_it_is_text_and_short(tmp_path: Path, said: str) -> None:
    make = made(tmp_path, Crowd(50, bad=1, said=said))
    text = page(make)
    assert "<script>" not in text and "<td>' onmouse" not in text and ">49<" not in text
    packed = make(Asked(Document.fleet, html=True, packed=True))
    assert len(text) < 2 * WIRE and len(packed) < WIRE / 5, "fifty boxes that all say it"
    one = make(Asked(Document.box, "box-00000", html=True)).decode()
    assert "<script>" not in one and one.count("<main") == 1

"""A box that is told of its site's own server: asked first, and nothing is lost when that is no help."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toweros_agent.offer.copies.near import ITSELF, LASTS, Near

from tests.kit.nocs import Noc, box_at, content, noc, offer, release, reports, settle
from tests.simulators.box import Box, State
from tests.simulators.update_server import UpdateServer


@pytest.fixture
def site(server: UpdateServer, tmp_path: Path) -> Iterator[Noc]:
    """It has release 7, which boxes run."""
    offer(server, release(7, b"one"))
    with noc(tmp_path / "noc", server, boxes=("demo-1",)) as running:
        running.once()
        yield running


@pytest.fixture
def box(server: UpdateServer, site: Noc, tmp_path: Path) -> Box:
    """Its server is the origin; the drop-in is what `noc:` of the fleet repo writes."""
    made = box_at(server.url, tmp_path / "box", server.root)
    folder = made.places.etc / "agent.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "50-box.toml").write_text("poll = 1\n")
    (folder / "60-noc.toml").write_text(f"noc = {json.dumps(site.url)}\n")
    return made


def test_what_a_site_has_is_not_fetched_from_the_server(server: UpdateServer, site: Noc, box: Box) -> None:
    offer(server, release(8))
    site.once()
    before = content(server)
    agent = settle(box)
    assert (agent.boot.sequence, agent.state, agent.error) == (8, State.IDLE, "")
    assert content(server) == before and reports(server)[-1]["sequence"] == 8
    assert reports(server)[-1]["fetched"]["from"] == ["noc"]


def lie(site: Noc, server: UpdateServer) -> None:
    """What it has is damaged."""
    layers = site.site.copy.layers
    for path in layers.path("0" * 64).parent.iterdir():
        if path.is_file():
            data = path.read_bytes()
            path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])


def lose_its_line(site: Noc, server: UpdateServer) -> None:
    """The NOC does not reach the origin, and the box does."""
    site.site.relay.gone()


@pytest.mark.parametrize("trouble", [lie, lose_its_line], ids=["it has damaged files", "its line is down"])
def test_a_site_s_server_that_is_no_help_costs_no_update(
    trouble: Callable[[Noc, UpdateServer], None], server: UpdateServer, site: Noc, box: Box
) -> None:
    offer(server, release(8))
    site.once()
    trouble(site, server)
    assert 8 in (settle(box).boot.sequence, settle(box).boot.sequence)
    assert reports(server)[-1]["sequence"] == 8


def test_a_site_s_server_that_is_gone_or_late_costs_no_update(server: UpdateServer, site: Noc, tmp_path: Path) -> None:
    box = box_at(server.url, tmp_path / "other", server.root)
    folder = box.places.etc / "agent.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "50-box.toml").write_text('poll = 1\nnoc = "http://127.0.0.1:9"\n')
    offer(server, release(8))
    assert settle(box).boot.sequence == 8
    (folder / "50-box.toml").write_text(f"poll = 1\nnoc = {json.dumps(site.url)}\n")
    agent = settle(box)  # this one has not heard of release 8: older than what is believed
    assert agent.boot.sequence == 8
    assert settle(box).error == ""


def test_while_both_are_away_the_box_waits_and_stays_healthy(server: UpdateServer, site: Noc, box: Box) -> None:
    offer(server, release(8))
    site.once()
    server.leave()
    site.once()
    agent = settle(box)
    assert (agent.boot.sequence, agent.state) == (7, State.IDLE) and agent.tell().health != "Degraded"
    assert "the site keeps the reports" in agent.error and site.once().waiting["demo-1"]
    server.come_back()
    site.once()
    assert settle(box).boot.sequence == 8


def test_a_site_s_server_is_asked_for_what_is_the_server_s_alone() -> None:
    near = Near("http://noc", "http://server:80")
    assert near.ways("http://server:80/layers/x") == ("http://noc/layers/x", "http://server:80/layers/x")
    assert near.ways("http://server:8080/x") == ("http://server:8080/x",)
    near.pass_over()
    assert near.ways("http://server:80/x") == ("http://server:80/x",)


def test_copies_are_asked_for_all_but_reports_and_each_is_passed_over_by_itself() -> None:
    near = Near("http://noc", "http://server", ("http://a/x", "oci+http://b/y"))
    layer, report = "http://server/layers/1", "http://server/api/v1/boxes/demo-1/report"
    assert near.ways(layer) == ("http://noc/layers/1", "http://a/x/layers/1", "oci+http://b/y/layers/1", layer)
    assert near.ways(report, "POST") == (report.replace("server", "noc"), report)
    near.pass_over("http://a/x/layers/1")
    assert near.ways(layer) == ("http://noc/layers/1", "oci+http://b/y/layers/1", layer)
    near.pass_over()
    assert near.ways(layer) == (layer,)
    assert near.is_noc("http://noc/layers/1") and not Near("", "http://server", ("http://a",)).is_noc("http://a/1")


@pytest.mark.parametrize("of", ["", "boxes/demo-1/", f"claims/{'a' * 64}/"])
def test_a_copy_that_stands_still_is_found_out_within_the_hour(of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    news, now = f"http://server/metadata/{of}timestamp.json", 1000.0
    monkeypatch.setattr("toweros_agent.offer.copies.near.time.monotonic", lambda: now)
    near = Near("", "http://server", ("http://copy",))
    assert near.ways(news)[0] == f"http://copy/metadata/{of}timestamp.json"
    now += ITSELF
    assert near.ways("http://server/layers/1")[0] == "http://copy/layers/1"
    assert [near.ways(news) for _ in range(2)] == [(news,)] * 2, "the server itself, for a whole look"
    now += LASTS
    assert near.ways(news)[0] == f"http://copy/metadata/{of}timestamp.json"

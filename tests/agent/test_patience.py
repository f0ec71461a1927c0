"""A server that is busy, one that lies about it, and a thousand boxes that an outage woke at once."""

import time
from email.utils import formatdate
from pathlib import Path

import pytest
from toweros_agent import deadlines
from toweros_agent.offer.net import Http, NetError
from toweros_agent.offer.patience import MOST, asked, pause

from tests.simulators.update_server import UpdateServer, truncated

YEAR = 365 * 86400


@pytest.mark.parametrize(
    ("status", "words", "seconds"),
    [
        (503, "120", 120), (429, "7", 7), (503, "", 0), (200, "120", 0), (404, "120", 0), (500, "120", 0),
        (503, f"{YEAR}", MOST), (503, "9" * 4000, MOST), (503, "-5", 0), (503, "soon", 0), (503, "١٢", 0),
        (503, formatdate(1_790_000_060, usegmt=True), 60), (503, formatdate(1_790_000_000 + YEAR, usegmt=True), MOST),
        (503, formatdate(1_780_000_000, usegmt=True), 0), (503, "Mon, 99 Foo 2026", 0),
    ],
)  # fmt: skip
def test_what_a_busy_server_asks_for_is_bounded_and_never_shortens_a_pause(
    status: int, words: str, seconds: float
) -> None:
    assert asked(status, words, 1_790_000_000.0) == seconds
    assert 30 <= pause(30, seconds) <= 1.1 * max(30, seconds)


def test_a_date_is_by_the_servers_own_clock_and_counts_for_nothing_without_one() -> None:
    assert asked(503, formatdate(time.time() + 60, usegmt=True), 0.0) == 0.0


def test_a_moment_stays_a_moment_whatever_is_asked_for() -> None:
    assert pause(0, MOST) == 0


def test_a_thousand_boxes_that_an_outage_woke_at_once_are_apart_after_one_poll() -> None:
    seconds = sorted(pause(300, 0) for _ in range(1000))
    assert seconds[0] >= 300 and seconds[-1] <= 330
    assert max(sum(low <= each < low + 1 for each in seconds) for low in range(300, 330)) < 100, "of 1,000 in a second"


def test_what_one_answer_of_a_step_asks_for_is_not_forgotten_with_the_next_and_counts_once(
    server: UpdateServer,
) -> None:
    server.files["/metadata/timestamp.json"] = b"{}"
    http, url = Http(lambda: None, lambda _: None), f"{server.url}/metadata/timestamp.json"
    server.busy = "600"
    with pytest.raises(NetError, match="HTTP 503"):
        http.get(url, 100)
    server.busy = ""
    assert http.get(url, 100)[0] == 200
    assert (http.rest(1), http.rest(1)) == (600, 0)


@pytest.mark.parametrize(("words", "waits"), [("17", 17.0), ("100000", deadlines.BUSY), ("0", 2.0), ("soon", 2.0)])
def test_a_download_waits_as_long_as_a_busy_server_asks_for_within_bounds(
    server: UpdateServer, tmp_path: Path, words: str, waits: float
) -> None:
    server.files["/layers/x"], server.busy, paused = b"content", words, list[float]()

    def pause(seconds: float) -> None:
        paused.append(seconds)
        server.busy = ""

    Http(lambda: None, pause).download(f"{server.url}/layers/x", tmp_path / "part", 100)
    assert (tmp_path / "part").read_bytes() == b"content" and paused == [waits]


def test_what_a_mirror_asked_for_makes_no_drop_of_another_line_longer(server: UpdateServer, tmp_path: Path) -> None:
    server.files["/layers/x"], server.busy, paused = b"content", "600", list[float]()

    def pause(seconds: float) -> None:
        paused.append(seconds)
        server.faults.clear()

    http = Http(lambda: None, pause)
    with pytest.raises(NetError):
        http.size(f"{server.url}/layers/x.zst")
    server.busy, server.faults["/layers/x"] = "", truncated
    http.download(f"{server.url}/layers/x", tmp_path / "part", 100)
    assert paused == [2.0] and http.rest(1) == 600, "the next poll waits, as it was asked to"


def test_no_pause_goes_past_the_end_of_its_step(server: UpdateServer, tmp_path: Path) -> None:
    """The watchdog is fed for half a minute longer: a server that is busy for ever is to reset nobody."""
    server.files["/layers/x"], server.busy, paused = b"content", "600", list[float]()
    http = Http(lambda: None, paused.append)
    http.within(20)
    with pytest.raises(NetError):
        http.download(f"{server.url}/layers/x", tmp_path / "part", 100)
    assert paused and max(paused) <= 20

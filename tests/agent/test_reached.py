"""The server was reached: that is proven by signatures, not by an answer. A walled garden keeps no release."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from toweros_agent.loop import Agent
from toweros_agent.nouns import Failure, Verdict

from gitops.sign.receipts import HEADER, Receipts
from tests.kit.contracts import problems
from tests.simulators.box import Box, State, drive, make
from tests.simulators.rude import Rude
from tests.simulators.update_server import UpdateServer

PAGE = b"<html>Welcome to the hotel. Please log in.</html>"


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """In the trial of release 8, whose window is over after three rounds."""
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(make(7, probation=0))
    put(server, 8, b"two")
    return made


def put(server: UpdateServer, sequence: int, service: bytes) -> None:
    new = make(sequence, service=service, probation=0)
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon)


def trial(box: Box) -> Agent:
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    tried = box.power_on()
    assert tried and tried.trial
    return tried


def asking(agent: Agent, url: str) -> None:
    agent.trust.url, agent.reporter.url = f"{url}/metadata", f"{url}/report"


def a_page(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE))


def a_redirection(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/login\r\nContent-Length: 0\r\n\r\n")


def nothing_new(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 304 Not Modified\r\n\r\n")


@pytest.mark.parametrize("manner", [a_page, a_redirection, nothing_new])
def test_a_release_that_moves_the_box_into_a_walled_garden_goes(
    box: Box, manner: Callable[[socket.socket], None]
) -> None:
    agent = trial(box)
    with Rude(manner) as portal:
        asking(agent, portal.url)
        drive(agent, State.REBOOTING)
    assert agent.history.memory.failures[-1].verdict == Verdict.INDETERMINATE
    assert box.entries() == ["toweros-7.efi", "toweros-8+0-1.efi"]


class Yesterdays(Receipts):
    """Always the same genuine receipt."""

    def header(self, box: str, text: bytes, *, taken: bool, now: int) -> dict[str, str]:
        return super().header(box, b"yesterday's report", taken=taken, now=now)


class OfAnotherBox(Receipts):
    def header(self, box: str, text: bytes, *, taken: bool, now: int) -> dict[str, str]:
        return super().header("demo-2", text, taken=taken, now=now)


class Garbage(Receipts):
    def header(self, box: str, text: bytes, *, taken: bool, now: int) -> dict[str, str]:
        return {HEADER: "zz [" * 50}


@pytest.mark.parametrize("how", ["none", "foreign", "yesterdays", "of another box", "garbage"])
def test_a_proxy_that_repeats_what_was_signed_is_not_the_server(box: Box, server: UpdateServer, how: str) -> None:
    """It has every file that the server has, and takes every report with 204."""
    agent = trial(box)
    assert server.receipts
    with UpdateServer("demo-1") as proxy:
        proxy.files = server.files
        proxy.receipts = {
            "none": None,
            "foreign": Receipts(Ed25519PrivateKey.generate()),
            "yesterdays": Yesterdays(server.receipts.key),
            "of another box": OfAnotherBox(server.receipts.key),
            "garbage": Garbage(server.receipts.key),
        }[how]
        asking(agent, proxy.url)
        drive(agent, State.REBOOTING)
        assert proxy.reports
    failure = agent.history.memory.failures[-1]
    assert failure.verdict == Verdict.INDETERMINATE
    words = {"yesterdays": "for another report", "of another box": "for another report"}
    words["none"] = "there is no receipt: an older server, a stranger, or a proxy that drops toweros-receipt"
    assert failure.reason.startswith("the server was out of reach during probation: ")
    assert words.get(how, "whoever answered is not the server") in failure.reason


def test_a_server_that_signs_keeps_the_release(box: Box, server: UpdateServer) -> None:
    agent = trial(box)
    drive(agent, State.IDLE)
    assert box.entries() == ["toweros-7.efi", "toweros-8.efi"]


def test_a_signed_refusal_is_a_proof_too(box: Box, server: UpdateServer) -> None:
    """A box whose key is not known any more must still be able to move on."""
    agent = trial(box)
    server.post_status = 403
    drive(agent, State.IDLE)
    assert box.entries() == ["toweros-7.efi", "toweros-8.efi"]


def test_logs_that_are_no_text_keep_no_report_from_the_server(box: Box, server: UpdateServer) -> None:
    """They would be told again in each trial, and none of them could end well."""
    agent = trial(box)
    noise = Failure(5, "5" * 64, "c", "u", Verdict.INDETERMINATE, "\x1b" * 9000, 1, "\0" * (64 << 10))
    agent.history.memory.failures = [noise] * 8
    agent.history.save()
    drive(agent, State.IDLE)
    assert box.entries() == ["toweros-7.efi", "toweros-8.efi"], agent.reached.why
    assert problems("report", box.report(server)) == []


def test_an_older_server_signs_nothing_and_its_timestamp_counts_as_before(box: Box, server: UpdateServer) -> None:
    server.receipts = None
    put(server, 8, b"two")
    agent = trial(box)
    drive(agent, State.IDLE)
    assert box.entries() == ["toweros-7.efi", "toweros-8.efi"]


def test_nothing_new_is_nothing_that_anybody_signed(box: Box, server: UpdateServer) -> None:
    """Of an older server the timestamp is all that there is: it is fetched whole in each round."""
    server.receipts = None
    put(server, 8, b"two")
    agent = trial(box)
    assert agent.reached()
    with Rude(nothing_new) as portal:
        asking(agent, portal.url)
        assert not agent.reached()


def test_a_report_that_nobody_proves_to_have_stays_due(box: Box, server: UpdateServer) -> None:
    agent = trial(box)
    drive(agent, State.IDLE)
    agent.step()
    sent = len(server.reports)
    with Rude(a_page) as portal:
        good = agent.reporter.url
        agent.reporter.url, agent.error = portal.url, "something new"
        agent.send_report()
        assert portal.asked == 1 and len(server.reports) == sent
        agent.reporter.url = good
        agent.send_report()
    assert len(server.reports) == sent + 1
    server.post_status = 409  # the answer got lost, and the report is repeated
    agent.error = "something newer"
    agent.send_report()
    server.post_status = 204
    agent.send_report()
    assert len(server.reports) == sent + 1, "a signed `seen already` is as good"

"""A one-line change costs a box less than 4 KB in all; and whatever is wrong with what changed, the file is right."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toweros_agent.loop import Agent
from toweros_agent.machine import State
from toweros_agent.nouns import Refused
from toweros_agent.offer.changes.small import together

from gitops.model import Publication, Release, Revision
from gitops.publish.deltas import small
from tests.kit.published import NOW, Kit
from tests.simulators.box import Box, Made, drive, make

IMAGES = tuple(f"a layer {number}".encode() for number in range(60))
LINES = b"\n".join(b"setting %d = %d" % (number, number * 7) for number in range(900))
VECTOR = "78f914950df92b4157648145110014a90dfa"
MOST = 4096
"""Bytes that a box fetches for one commit, whatever the fleet's size."""


def release(sequence: int, lines: bytes) -> Made:
    """Of 63 layers; its addon is as large as a real one: a constant, a signature, padding."""
    made = make(sequence, service=lines, images=IMAGES)
    signature = random.Random(sequence).randbytes(420)
    made.addon += random.Random(0).randbytes(1600) + signature + bytes(1500)
    return made


def offer(here: Kit, made: Made) -> None:
    for root, data in made.blobs.items():
        (here.folder / "layer").write_bytes(data)
        here.store.layers.add(here.folder / "layer", root)
    blobs = [here.store.blobs.put(data) for data in (made.document, made.uki, made.addon)]
    revision = Revision("main", f"{made.sequence:040x}", made.sequence, NOW)
    publication = Publication(Release.parse(made.document), revision, *blobs)
    here.publisher.publish([publication])
    here.store.offers.save_published(publication, "a key")


def running(here: Kit, url: str, made: Made) -> Agent:
    """A box that runs a release, which is offered."""
    offer(here, made)
    folder = here.folder / "box"
    folder.mkdir()
    box = Box(folder, url, here.folder.joinpath("keys/1.root.json").read_bytes())
    box.install(made)
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    assert (agent.state, agent.error) == (State.IDLE, "")
    return agent


def test_a_one_line_change_costs_a_box_less_than_4_kb_in_all(here: Kit, url: str) -> None:
    agent = running(here, url, release(7, LINES))
    before = agent.http.received
    offer(here, new := release(8, LINES.replace(b"setting 450 = 3150", b"setting 450 = 3151")))
    drive(agent, State.REBOOTING)
    assert len(new.document) + len(new.addon) > 8000
    assert 0 < agent.http.received - before <= MOST


def test_a_server_that_has_not_what_the_box_runs_hands_out_the_whole_document(here: Kit, url: str) -> None:
    agent = running(here, url, release(7, LINES))
    here.store.blobs.remove(agent.boot.release)
    before = agent.http.received
    offer(here, new := release(8, b"another"))
    drive(agent, State.REBOOTING)
    assert agent.http.received - before > len(new.document)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 300), st.integers(0, 299), st.binary(max_size=40))
def test_what_is_put_together_is_what_was_taken_apart(text: bytes, times: int, at: int, more: bytes) -> None:
    """Files of several pieces, with something put in somewhere."""
    old = text * times
    new = old[: at * len(text)] + more + old[at * len(text) :]
    assert together(small.between(old, new), old, len(new)) == new


@pytest.mark.parametrize(
    "wrong",
    [
        lambda delta: b"",
        lambda delta: delta[:-3],
        lambda delta: delta + b"more",
        lambda delta: delta + delta,
        lambda delta: small.between(b"another file", LINES),
        lambda delta: small.between(LINES, bytes(1 << 20)),
    ],
    ids=["nothing", "cut", "more", "twice", "of another file", "a bomb"],
)
def test_what_is_not_what_changed_is_refused_within_bounds(wrong: Callable[[bytes], bytes]) -> None:
    old, new = LINES, LINES.replace(b"setting 5 ", b"setting five ")
    delta = small.between(old, new)
    assert together(delta, old, len(new)) == new and len(delta) < 200
    with pytest.raises(Refused):
        together(wrong(delta), old, len(new))


def test_a_delta_of_before_is_read_for_ever() -> None:
    """Made by zlib 1.2.13: what other versions make differs, what they read does not."""
    packed = bytes.fromhex(VECTOR)
    assert together(packed, b"toweros.sequence=7 toweros.box=demo-1", 37) == b"toweros.sequence=8 toweros.box=demo-1"


def test_nothing_large_is_compared(here: Kit) -> None:
    large, one = here.store.blobs.put(bytes(small.MOST + 1)), here.store.blobs.put(b"one")
    assert small.changes(here.store.blobs, one.sha256, large.sha256) is None
    assert small.changes(here.store.blobs, large.sha256, one.sha256) is None
    assert small.changes(here.store.blobs, one.sha256, one.sha256)

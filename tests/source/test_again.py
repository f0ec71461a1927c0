"""A refusal is looked at again when time, or somebody, may have changed it, and not at each poll."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitops.errors import SourceError
from gitops.source.again import HOLDS, SET, Moment
from gitops.source.trust import signatures
from gitops.source.trust.judge import AHEAD, Judge
from tests.kit.people import People
from tests.kit.trust import Story

NOW = 1_800_000_000.0


def stamp(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d%H%M%SZ}"


def until(seconds: float) -> None:
    while time.time() <= seconds + 1:
        time.sleep(0.2)


def soon(seconds: int = 8) -> int:
    return int(time.time()) + seconds


def bound(people: People, story: Story, begins: int) -> str:
    """Ada's line with her key's dates, and what signs for her."""
    story.first.write_text(people.allowed("ada", options=f'valid-after="{stamp(begins)}"'))
    return "ada"


def by_certificate(people: People, story: Story, begins: int) -> str:
    people.key_of("ca")
    story.first.write_text(people.authority("*@example.org"))
    return people.certified("ada", "ada@example.org", "-V", f"{stamp(begins)}:20900101")


@pytest.mark.parametrize("how", [bound, by_certificate])
def test_a_key_that_becomes_valid_is_taken_then_and_asked_about_once(
    head: Story, monkeypatch: pytest.MonkeyPatch, how: object
) -> None:
    begins = soon()
    head.commit("next", how(head.people, head, begins))  # type: ignore[operator]
    with pytest.raises(SourceError) as first:
        head.source.poll()
    assert first.value.reason == "ExpiredKey" and first.value.again == begins
    with monkeypatch.context() as patched:
        patched.setattr(Judge, "accept", None)
        with pytest.raises(SourceError, match="not valid"):
            head.source.poll()
    until(begins)
    assert head.source.poll().ref == "main"


def test_a_list_that_counts_from_later_on_deploys_then(head: Story) -> None:
    begins = soon()
    head.commit(head.people.allowed("ada", options=f'valid-after="{stamp(begins)}"'), "ada", "keys/allowed_signers")
    with pytest.raises(SourceError) as first:
        head.source.poll()
    assert first.value.reason == "LockedOut" and first.value.again == begins
    until(begins)
    assert head.deploy() == "main"


def test_a_date_in_the_future_passes(head: Story) -> None:
    date = soon(6) + AHEAD
    head.remote.env["GIT_COMMITTER_DATE"] = f"{date} +0000"
    head.commit("next", "ada")
    with pytest.raises(SourceError) as first:
        head.source.poll()
    assert first.value.reason == "FutureDate" and first.value.again == date - AHEAD
    until(date - AHEAD)
    assert head.source.poll().ref == "main"


def test_an_approval_that_counts_from_later_on_is_counted_then(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    begins = soon(12)
    late = people.allowed("ben", options=f'valid-after="{stamp(begins)}"')
    story.first.write_text(people.allowed("ada") + late)
    story.commit('source: {tags: "v*", sign: tag, threshold: 2}\n', path="fleet.yaml")
    story.tag("v1.0.0")
    story.tag("approved/v1.0.0/ben", "ben", at="v1.0.0^{}")
    with pytest.raises(SourceError) as first:
        story.source.poll()
    assert first.value.reason == "ThresholdNotMet" and first.value.again == begins
    until(begins)
    assert story.source.poll().signers == ("ada", "ben")


def test_a_later_approval_of_the_same_commit_and_a_key_that_is_let_in_are_seen(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    story.first.write_text(people.allowed("ada"))
    story.commit("source: {sign: every-commit, threshold: 2}\n", "ada", "fleet.yaml")
    commit = story.remote.git("rev-parse", "HEAD").strip()
    story.refused("ThresholdNotMet")
    story.tag(f"approved/{commit}/ben", "ben")
    story.refused("ThresholdNotMet")
    story.first.write_text(people.allowed("ada", "ben"))
    assert story.source.poll().signers == ("ada", "ben")


def test_what_time_does_not_change_is_not_verified_at_each_poll(head: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    head.commit("evil", "eve")
    head.refused("UnknownKey")
    with pytest.raises(SourceError) as first:
        head.source.poll()
    assert first.value.again is None
    monkeypatch.setattr(signatures, "names", None)
    monkeypatch.setattr(Judge, "accept", None)
    for _ in range(5):
        with pytest.raises(SourceError, match="unknown key"):
            head.source.poll()


class Clocks:
    """Two clocks, as a test sets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.steady = NOW, 100.0
        monkeypatch.setattr("gitops.source.again.time.time", lambda: self.wall)
        monkeypatch.setattr("gitops.source.again.time.monotonic", lambda: self.steady)

    def go(self, seconds: float, off: float = 0) -> None:
        self.wall += seconds + off
        self.steady += seconds


@pytest.mark.parametrize(
    ("ends", "seconds", "off", "over"),
    [
        ([], HOLDS - 1, 0, False),
        ([], HOLDS, 0, True),
        ([], 1, SET + 1, True),
        ([], 1, -SET - 1, True),
        ([], 1, SET - 1, False),
        ([NOW + 50, None, NOW + 20], 19, 0, False),
        ([NOW + 50, None, NOW + 20], 20, 0, True),
        ([NOW - 1], 30, 0, False),
    ],
)
def test_an_answer_is_over_when_a_clock_says_so(
    monkeypatch: pytest.MonkeyPatch, ends: list[float | None], seconds: float, off: float, over: bool
) -> None:
    clocks = Clocks(monkeypatch)
    moment = Moment.now(ends)
    clocks.go(seconds, off)
    assert moment.over() is over


def test_a_clock_that_was_wrong_and_is_set_right_lets_in_whom_it_kept_out(
    head: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    head.commit("next", "ada")
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: NOW - 10 * 365 * AHEAD)
        with pytest.raises(SourceError, match="dated in the future"):
            head.source.poll()
    assert head.source.poll().ref == "main"

"""What operators say of a rollout is done once, and written down with who said it."""

from pathlib import Path

import pytest

from gitops.errors import TowerosError
from gitops.model import Happened
from gitops.model.rollout.waves import Wave, WaveState
from gitops.rollout import steering
from gitops.store import Store
from gitops.store.notes.waves import Steered, Waves

LAB, REST = WaveState("lab", "a" * 64, says="soaks"), WaveState("rest", "b" * 64)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open(tmp_path)
    store.notes.put(Waves((LAB, REST)))
    return store


def told(store: Store) -> tuple[str, str]:
    """The newest event: what it is, and its words."""
    event = store.events.latest("", 1)[0]
    return event.reason, event.message


def test_a_pause_and_its_end_are_told_with_their_names(store: Store) -> None:
    steering.pause(store, "ada", "the mast is open", 100)
    assert told(store) == (Happened.SUSPENDED, "the rollout, by ada: the mast is open")
    assert steering.resume(store, "ben") and told(store) == (Happened.RESUMED, "the rollout, by ben")
    assert not steering.resume(store, "ben"), "there is none any more"


def test_a_pause_that_was_said_already_is_no_second_one_and_lasts_since_the_first(store: Store) -> None:
    assert steering.pause(store, "ada", "the mast is open", 100)
    assert not steering.pause(store, "ada", "the mast is open", 200)
    kept = store.notes.get(Steered)
    assert kept and kept.since == 100 and len(store.events.latest("", 9)) == 1
    for who, why, revision in (("ben", "the mast is open", ""), ("ben", "storm", ""), ("ben", "storm", "c" * 40)):
        assert steering.pause(store, who, why, 300, revision=revision)
    assert len(store.events.latest("", 9)) == 4


def test_of_two_who_end_a_pause_at_once_one_did(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    steering.pause(store, "ada", "the mast is open", 100)
    seen = store.notes.get(Steered)
    assert steering.resume(store, "ben")
    monkeypatch.setattr(store.notes, "get", lambda kind: seen)  # as the other one read it a moment before
    assert not steering.resume(store, "ada")
    assert told(store) == (Happened.RESUMED, "the rollout, by ben")


def test_a_promotion_is_about_what_the_wave_is_to_run_now_and_is_told(store: Store) -> None:
    assert steering.promote(store, "lab", "ada", "the lamp alone")
    assert not steering.promote(store, "lab", "ben", "the lamp alone"), "it was said"
    kept = store.notes.get(Steered)
    assert kept and kept.promoted == (LAB.content,)
    assert told(store) == (Happened.RESUMED, "wave lab is not waited for, by ada: the lamp alone")
    with pytest.raises(TowerosError, match="nobody waits for a wave rest"):
        steering.promote(store, "rest", "ada", "why not")


def test_a_text_of_git_is_done_once_and_the_others_are_left_as_they_are(store: Store) -> None:
    lab, rest = Wave(name="lab", promote="ada: now"), Wave(name="rest", promote="ben: too")
    steering.of_git(store, [lab], [LAB, REST])
    steering.of_git(store, [lab, rest], [LAB, REST])
    kept = store.notes.get(Steered)
    assert kept and kept.promoted == (LAB.content, REST.content), "each once"

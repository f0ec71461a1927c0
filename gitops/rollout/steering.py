"""What operators say of a rollout: paused, ended, or that a wave need not be waited for.

In: their words. Out: what the rules take of them. Rules: a pause keeps boxes from beginning, and what began goes on; it
lasts until it is taken back, or, with a revision, until Git has deployed another one; whoever promotes a wave says so
of what its boxes are wanted to run, and of nothing later.

    pause(store, "ada", "the mast is open", now)
    steering.of(store, revision).paused         # "ada: the mast is open (since 2026-11-23 03:12 UTC)"
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from gitops.errors import StoreError, TowerosError
from gitops.model import EventType, Happened, Revision
from gitops.model.rollout.waves import Steering, Wave, WaveState
from gitops.store import Store
from gitops.store.notes.waves import Steered, Waves

MOST = 256
"""Promotions that are remembered."""


def pause(store: Store, who: str, why: str, now: int, *, revision: str = "") -> bool:
    """From the next pass on nobody begins; with `revision` (a commit), as long as that is what is deployed. False: they
    said so already."""
    said: list[bool] = []

    def paused(old: Steered) -> Steered:
        said.append(bool(old.since) and (old.who, old.why, old.revision) == (who, why, revision))
        return old if said[-1] else replace(old, who=who, why=why, since=now, revision=revision)

    store.notes.change(Steered, paused)
    if not said[-1]:
        store.events.add("", EventType.NORMAL, Happened.SUSPENDED, f"the rollout, by {who}: {why}")
    return not said[-1]


def resume(store: Store, who: str, why: str = "") -> bool:
    """Take a pause back. False: there was none."""
    there: list[bool] = []

    def resumed(old: Steered) -> Steered:
        there.append(bool(old.since))
        return replace(Steered(), promoted=old.promoted, texts=old.texts)

    try:
        if not (store.notes.get(Steered) or Steered()).since:
            return False
        store.notes.change(Steered, resumed)
    except StoreError:  # nobody goes while it is damaged: this is the way out
        store.notes.put(Steered())
    if there[-1:] == [False]:
        return False
    store.events.add("", EventType.NORMAL, Happened.RESUMED, f"the rollout, by {who}" + (f": {why}" if why else ""))
    return True


def promote(store: Store, wave: str, who: str, why: str) -> bool:
    """Nobody waits for this wave any more, as far as it is about what its boxes are wanted to run now. False: that was
    said already.

    Raises:
        TowerosError: there is no such wave, or nobody waits for it.
    """
    states = (store.notes.get(Waves) or Waves()).states
    state = next((each for each in states if each.name == wave), None)
    if state is None or not state.says:
        names = ", ".join(each.name for each in states if each.says) or "none"
        raise TowerosError(f"nobody waits for a wave {wave}", hint=f"waves that are waited for: {names}")
    content, said = state.content, list[bool]()

    def promoted(old: Steered) -> Steered:
        said.append(content in old.promoted)
        return old if said[-1] else replace(old, promoted=(*old.promoted, content)[-MOST:])

    store.notes.change(Steered, promoted)
    if not said[-1]:
        store.events.add("", EventType.NORMAL, Happened.RESUMED, f"wave {wave} is not waited for, by {who}: {why}")
    return not said[-1]


def of_git(store: Store, waves: Sequence[Wave], states: Sequence[WaveState]) -> None:
    """What `promote:` of a wave says, done once for each text: it is about what the wave's boxes are to run at the
    first look at it, as the command is, and about nothing later."""
    texts = {wave.name: wave.promote for wave in waves if wave.promote}
    known = store.notes.get(Steered) or Steered()
    if texts == known.texts:
        return
    contents = {state.name: state.content for state in states}
    new = [name for name, text in texts.items() if text != known.texts.get(name) and name in contents]
    promoted = tuple(contents[name] for name in new)
    store.notes.change(Steered, lambda old: replace(old, texts=texts, promoted=(*old.promoted, *promoted)[-MOST:]))
    for name in new:
        words = f"wave {name} is not waited for, by Git: {texts[name]}"
        store.events.add("", EventType.NORMAL, Happened.RESUMED, words)


def of(store: Store, revision: Revision) -> Steering:
    """What counts while `revision` is what is rolled out.

    Raises:
        StoreError: the record is damaged: nobody goes before it is known whether somebody paused it.
    """
    said = store.notes.get(Steered) or Steered()
    ended = said.revision and said.revision != revision.commit
    return Steering(text(said) if said.since and not ended else "", frozenset(said.promoted))


def text(said: Steered) -> str:
    """Who, why, and since when."""
    return f"{said.who}: {said.why} (since {datetime.fromtimestamp(said.since, UTC):%Y-%m-%d %H:%M} UTC)"

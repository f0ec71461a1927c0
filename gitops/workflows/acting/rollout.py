"""The rollout is paused, goes on, ends with what is deployed, or waits no more for a wave.

pause(acting, "the mast is open")               # True; False: ada said so before
resume(acting, "it is closed", seen=paused(store))
"""

from gitops.errors import TowerosError
from gitops.model import Revision
from gitops.rollout import steering
from gitops.store import Store
from gitops.store.notes.documents import LastDeployed
from gitops.store.notes.waves import Steered, Waves
from gitops.workflows.acting.acting import Acting, StaleError, ended, reason

ROLLOUT = "rollout"


def paused(store: Store) -> str:
    """Who paused it, in words; empty: nobody."""
    said = store.notes.get(Steered) or Steered()
    return steering.text(said) if said.since else ""


def deployed(store: Store) -> Revision:
    """What `abort` is about. Raises TowerosError: nothing is deployed yet."""
    if (last := store.notes.get(LastDeployed)) is None:
        raise TowerosError("nothing is deployed yet")
    return last.revision


def pause(acting: Acting, why: str, seen: str | None = None) -> bool:
    """Nobody else begins. `seen`: who had paused it, as somebody saw before. False: they said so already.

    Raises:
        TowerosError: there is no reason. StaleError: somebody else paused it. StoreError: there is no line of it.
    """
    why = reason(why)
    with acting.doing("rollout.pause", ROLLOUT, why) as doing:
        _unchanged(acting, why, seen)
        return ended(doing, steering.pause(acting.store, acting.by.name, why, acting.now))


def abort(acting: Acting, why: str, seen: str | None = None) -> bool:
    """As `pause`, for what is deployed now. `seen`: the commit that was deployed, as somebody saw before."""
    why = reason(why)
    revision = deployed(acting.store)
    with acting.doing("rollout.abort", str(revision), why) as doing:
        if seen is not None and seen != revision.commit:
            raise StaleError(f"{revision} is deployed by now: it is another one than you saw")
        return ended(doing, steering.pause(acting.store, acting.by.name, why, acting.now, revision=revision.commit))


def resume(acting: Acting, why: str = "", seen: str | None = None) -> None:
    """Take `pause` or `abort` back.

    Raises:
        StaleError: nobody paused it, or somebody else than was seen. StoreError: there is no line of it.
    """
    with acting.doing("rollout.resume", ROLLOUT, why) as doing:
        if seen is not None and (now_so := paused(acting.store)) and now_so != seen:
            raise StaleError(f"the rollout is paused by somebody else by now: {now_so}")
        if not ended(doing, steering.resume(acting.store, acting.by.name, why)):
            raise StaleError("nobody paused the rollout", hint="`toweros rollout status` says who waits for what")


def promote(acting: Acting, wave: str, why: str, seen: str | None = None) -> bool:
    """Nobody waits for this wave any more, for what it is to run now. `seen`: what it was to run, as somebody saw
    before. False: that was said already.

    Raises:
        TowerosError: there is no such wave, nobody waits for it, or there is no reason. StaleError: it is to run
            something else by now.
    """
    why = reason(why)
    with acting.doing("rollout.promote", wave, why) as doing:
        now_so = {each.name: each.content for each in (acting.store.notes.get(Waves) or Waves()).states}
        if seen is not None and now_so.get(wave, seen) != seen:
            raise StaleError(f"wave {wave} is to run something else by now than you saw")
        return ended(doing, steering.promote(acting.store, wave, acting.by.name, why))


def _unchanged(acting: Acting, why: str, seen: str | None) -> None:
    now_so = paused(acting.store)
    if seen is not None and now_so != seen and not now_so.startswith(f"{acting.by.name}: {why} (since "):
        raise StaleError(f"the rollout is paused meanwhile by {now_so}" if now_so else "the rollout goes on again")

"""A box, or the whole fleet, is held, let go, or tries again what failed.

hold(acting, "site-7", "the mast is open")      # True; False: ada said so before
release(acting, "site-7", "it is closed", seen=operator(store, "site-7"))
"""

from gitops.errors import TowerosError
from gitops.rollout import holds, retries
from gitops.workflows.acting.acting import Acting, StaleError, ended, reason

FLEET = "the fleet"


def hold(acting: Acting, box: str, why: str, seen: str | None = None) -> bool:
    """Hold a box, or `holds.ALL`. `seen`: who held it, as somebody saw before, in words. False: they said so already.

    Raises:
        TowerosError: there is no such box, or no reason. StaleError: somebody else holds it by now.
        StoreError: there is no line of it in the audit log.
    """
    why = reason(why)
    with acting.doing("box.hold", box, why) as doing:
        _exists(acting, box)
        now_so = holds.operator(acting.store, box)
        mine = now_so.startswith(f"{acting.by.name}: {why} (since ")
        if not mine and seen is not None and now_so != seen:
            raise StaleError(f"{_name(box)} is held meanwhile by {now_so}" if now_so else f"{_name(box)} is free again")
        return ended(doing, holds.hold(acting.store, box, acting.by.name, why, acting.now))


def release(acting: Acting, box: str, why: str = "", seen: str | None = None) -> None:
    """Take back what `hold` did. `seen`: as there.

    Raises:
        StaleError: nobody holds it any more, or somebody else does. StoreError: there is no line of it.
    """
    with acting.doing("box.release", box, why) as doing:
        now_so = holds.operator(acting.store, box)
        if seen and now_so and now_so != seen:
            raise StaleError(f"{_name(box)} is held by somebody else by now: {now_so}")
        if not ended(doing, holds.let_go(acting.store, box, acting.by.name, why)):
            hint = "`toweros status` says who holds what; `suspended:` in Git is taken out by a commit"
            raise StaleError(f"{_name(box)} is not held by `toweros suspend`, or not any more", hint=hint)


def retry(acting: Acting, box: str, why: str) -> bool:
    """Try again what failed there, once. False: that was said, and the box has not heard it yet.

    Raises:
        TowerosError: there is no such box, no reason, or its agent is too old.
    """
    why = reason(why, hint="say with --why what was outside of the release")
    with acting.doing("box.retry", box, why) as doing:
        _exists(acting, box)
        return ended(doing, retries.retry(acting.store, box, acting.by.name, why, acting.now))


def _name(box: str) -> str:
    return FLEET if box == holds.ALL else box


def _exists(acting: Acting, box: str) -> None:
    if box != holds.ALL and acting.store.states.one(box) is None:
        raise TowerosError(f"there is no box {box}", hint="`toweros status` lists them")

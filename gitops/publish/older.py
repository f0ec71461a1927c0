"""Who still takes its offer from the one repository of all boxes (ADR 108): then that is written too.

In: what is offered, what boxes and machines without a name said last. Out: whether it is written, and why. Rules: a box
whose agent uses its own repository says so in each report; one that said something else, or nothing yet, may have an
agent of before, as may any machine that asks who it is; a box that fell back to a release with such an agent says so,
and finds what it knows by its next look. That it begins or ends is told.

    Older(store, folder).wanted(targets)
"""

from collections.abc import Iterable

from gitops.errors import StoreError
from gitops.model import EventType, Happened
from gitops.model.machines.newcomer import CLAIMS, role_of
from gitops.publish.folder import Folder
from gitops.publish.targets import box_of
from gitops.store import LeaseError, Store
from gitops.store.notes.box_keys import BootChecked
from gitops.store.notes.newcomers import Newcomers

ALONE = "boxes/.alone"
"""Below the metadata, while only the boxes' own repositories are written."""
ENDS = "the metadata that all boxes share is not written any more: each of them uses a repository of its own"


class Older:
    """Of one store."""

    def __init__(self, store: Store, folder: Folder) -> None:
        self._store, self._folder = store, folder

    def wanted(self, targets: Iterable[str], now: int) -> bool:
        """Whether somebody may need it; what that changes is told."""
        why, alone = self._why({box_of(path) for path in targets}, now), self._folder.stamp(ALONE) is not None
        if bool(why) != alone:
            return bool(why)
        if why:
            self._folder.remove_file(ALONE)
            words = f"the metadata that all boxes share is written again: {why}"
        else:
            self._folder.write(ALONE, b"")
            words = ENDS
        self._store.events.add("", EventType.NORMAL, Happened.PUBLISHED, words)
        return bool(why)

    def _why(self, boxes: set[str], now: int) -> str:
        try:
            said = self._store.notes.each(BootChecked)
            asking = (self._store.notes.get(Newcomers) or Newcomers()).living(now)
        except LeaseError:
            raise
        except StoreError as error:  # the next reports write them again
            return error.message
        known = sorted(box for box in boxes if box != CLAIMS and not role_of(box))
        if older := [box for box in known if not (box in said and said[box].own)]:
            more = f" and {len(older) - 1} more" if older[1:] else ""
            return f"{older[0]}{more} said nothing yet of a repository of its own"
        if asking:
            return f"{len(asking)} machines without a name ask who they are"
        return "" if known else "there is no box yet"

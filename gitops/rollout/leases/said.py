"""What boxes said of their turn, from the store.

said(store)["demo-1"]       # BoxTurn(state="staged", sequence=9): here, and its turn has not come
"""

from collections.abc import Mapping

import structlog

from gitops.errors import StoreError
from gitops.model.rollout.turns import BoxTurn
from gitops.store import Store

log = structlog.get_logger(__name__)


def said(store: Store) -> dict[str, BoxTurn]:
    """By box, of those that know of permissions. Of a damaged record: that it knows, and gave none back."""
    try:
        return store.notes.each(BoxTurn)
    except StoreError as error:
        log.warning("turns.damaged", why=error.message)
    found = dict[str, BoxTurn]()
    for state in store.states.all():
        try:
            turn = store.notes.get(BoxTurn, state.name)
        except StoreError:
            turn = BoxTurn()
        found |= {state.name: turn} if turn else {}
    return found


def of(store: Store, box: str) -> BoxTurn | None:
    """Of one box; None: it said nothing that can be read."""
    try:
        return store.notes.get(BoxTurn, box)
    except StoreError as error:
        log.warning("turns.damaged", box=box, why=error.message)
        return None


def told(turns: Mapping[str, BoxTurn]) -> list[str]:
    """In words, by state: how many, and which ones where somebody may want to look."""
    lines = list[str]()
    for state, words in (("staged", "have what is to come, and wait for their turn"), ("fetching", "fetch it"),
                         ("waiting", "have it, and no permission")):  # fmt: skip
        count = sum(turn.state == state for turn in turns.values())
        lines += [f"{state}: {count} {'boxes' if count > 1 else 'box'} {words}"] if count else []
    for state in ("held", "failed"):
        rows = sorted((box, turn) for box, turn in turns.items() if turn.state == state)
        lines += [f"{state}: {box}: {turn.words}" for box, turn in rows[:5]]
        lines += [f"{state}: and {len(rows) - 5} more"] if len(rows) > 5 else []
    return lines

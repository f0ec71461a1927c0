"""Boxes that could fetch nothing while the update server hands out files to boxes alone (`fetch = "boxes"`).

In: the store, the settings. Out: names. Rules: only a report that said that the agent can prove itself counts; who was
never heard is not told: its first start is from its disk, and it says so then.

    unable(store, settings)     # ["site-7"]
"""

from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.reported import BoxFacts


def unable(store: Store, settings: Settings) -> list[str]:
    """By name."""
    if settings.fetch != "boxes":
        return []
    facts = store.notes.each(BoxFacts)
    known = [state for state in store.states.all() if state.received and not state.revoked]
    return [state.name for state in known if not (found := facts.get(state.name)) or not found.proves]

"""What is known of the places where else is published, for pages, metrics and `toweros status`.

copies(store, settings)     # name -> CopiedTo, of every place that the settings name
"""

from gitops.errors import StoreError
from gitops.settings import Settings
from gitops.store import LeaseError, Store
from gitops.store.notes.copied import CopiedTo


def remembered(store: Store, name: str) -> CopiedTo:
    """Of one place; an empty one where no pass was yet, or what was written down is damaged: the next pass mends it."""
    try:
        return store.notes.get(CopiedTo, name) or CopiedTo()
    except LeaseError:
        raise
    except StoreError:
        return CopiedTo()


def copies(store: Store, settings: Settings) -> dict[str, CopiedTo]:
    """Of each place that the settings name."""
    return {each.name: remembered(store, each.name) for each in settings.publish}

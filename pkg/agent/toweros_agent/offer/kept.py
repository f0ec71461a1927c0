"""What was fetched before its turn, and is still here: `memory.early` names it by the digest of its document.

kept.release(offer)         # the release, with all its layers on the disk; None: it is not here
kept.forget()               # nobody asks for it any more
"""

from toweros_agent.history import History
from toweros_agent.nouns import Offer, Release
from toweros_agent.offer.fetch import Fetcher


class Kept:
    """Of one disk."""

    def __init__(self, fetcher: Fetcher, history: History) -> None:
        self._fetcher, self._history, self._disk = fetcher, history, fetcher.disk

    def release(self, offer: Offer) -> Release | None:
        early = self._history.memory.early == offer.release.sha256
        kept = self._disk.read_release(offer.release.sha256) if early else None
        return kept if kept and not self._fetcher.missing(kept) else None

    def keep(self, release: Release) -> None:
        """From now on it stays (upkeep/disk.py). Raises `OSError`."""
        self._history.memory.early = release.digest
        self._history.save()

    def replaced_by(self, release: Release, offer: Offer) -> None:
        """What was here goes, if it is another, and so do halves of what is not asked for any more."""
        if self._history.memory.early not in ("", release.digest):
            self._history.memory.early = ""
            self._history.save()
        self._drop(offer.uki.sha256, offer.addon.sha256)

    def forget(self) -> None:
        """It goes with the next collection, and its boot files now."""
        self._history.memory.early = ""
        self._history.save()
        self._drop()

    def _drop(self, *stay: str) -> None:
        """Boot files and documents that were fetched, wholly or in part, but those with these digests."""
        for path in self._disk.state.glob("*.part"):
            if path.stem not in stay:
                path.unlink(missing_ok=True)

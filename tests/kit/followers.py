"""Boxes with an agent of before, that know one repository of all boxes, and of now; and what they say of it."""

import time
from dataclasses import replace
from pathlib import Path

from toweros_agent.nouns import Offer
from toweros_agent.offer import trust as agents
from toweros_agent.offer.net import Http
from toweros_agent.offer.repository import SHARED, seen
from toweros_agent.offer.trust import Trust

from gitops.store import Store
from gitops.store.notes.box_keys import BootChecked


class OldTrust(Trust):
    """As the agent of before: there is one repository."""

    def _refreshed(self, repository: str) -> "agents.Updater":
        return super()._refreshed(SHARED)


class Follower:
    """What one box believes, whichever agent it runs; nothing is left in memory between two looks."""

    def __init__(self, store: Store, folder: Path, root: bytes, url: str, name: str = "demo-1") -> None:
        self.store, self.folder, self.name, self.old = store, folder, name, False
        self._root, self.url = root, url
        folder.mkdir(parents=True, exist_ok=True)

    def trust(self) -> Trust:
        kind = OldTrust if self.old else Trust
        return kind(Http(lambda: None, time.sleep), self.folder, self._root, self.url, self.name)

    def looks(self) -> Offer:
        """What it is offered. Raises Refused, NetError."""
        return self.trust().offer()

    def reports(self) -> None:
        """As the server notes it of a report."""
        said = None if self.old else seen(self.folder, self.name)
        before = self.store.notes.get(BootChecked, self.name) or BootChecked(True)
        self.store.notes.put(replace(before, own=bool(said and said.get("own"))), self.name)

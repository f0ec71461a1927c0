"""A box's metadata while keys change: the agent's own trust, and python-tuf's client beside it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toweros_agent.offer.net import Http
from toweros_agent.offer.trust import Trust
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater

from gitops.server import create_app, serve
from gitops.settings import Settings
from tests.kit.published import Kit


@contextmanager
def served(here: Kit) -> Iterator[str]:
    """The update server on what was published; its URL."""
    with serve(create_app(here.store, Settings(state=here.store.paths.root)), "127.0.0.1:0") as url:
        yield url


class Box:
    """What a box has of metadata, from its built-in root on; and the same for a stranger's TUF client."""

    def __init__(self, here: Kit, url: str, folder: Path) -> None:
        self.tuf, self.other, self._url = folder / "tuf", folder / "other", url
        self.tuf.mkdir(parents=True)
        self.other.mkdir()
        self._root = (here.folder / "keys" / "1.root.json").read_bytes()

    def sees(self) -> int:
        """The sequence that it is offered."""
        offer = Trust(Http(lambda: None, time.sleep), self.tuf, self._root, self._url, "demo-1").offer()
        updater = Updater(str(self.other), f"{self._url}/metadata", bootstrap=self._root)
        updater.refresh()
        info = updater.get_targetinfo("demo-1/release.json")
        assert info and info.custom and info.custom["sequence"] == offer.sequence
        return offer.sequence

    def root(self) -> int:
        """The version of the root that it believes."""
        return int(Metadata.from_file(str(self.tuf / "boxes" / "demo-1" / "root.json")).signed.version)

"""A Tree out of a dict: path -> text. Ids are Git's own, so that keys made from it are those of a real commit."""

from collections.abc import Collection, Mapping

from gitops.model import Entry
from gitops.source.clone.trees import object_id, tree_ids


class DictTree:
    """Implements `Tree`. `with_files` gives another tree with some files changed, added or (None) left out."""

    def __init__(self, files: Mapping[str, str], links: Collection[str] = ()) -> None:
        self._files = {path: text.encode() for path, text in files.items()}
        self._links = frozenset(links)
        self._entries = {
            path: Entry(path, 0o120000 if path in links else 0o100644, object_id("blob", data), len(data))
            for path, data in self._files.items()
        }
        self._ids = tree_ids(self._entries)

    def entries(self) -> Mapping[str, Entry]:
        return self._entries

    def read(self, path: str) -> bytes:
        return self._files[path]

    def tree_id(self, folder: str) -> str:
        return self._ids[folder]

    def with_files(self, changed: Mapping[str, str | None]) -> "DictTree":
        texts = {path: data.decode() for path, data in self._files.items()} | dict(changed)
        return DictTree({path: text for path, text in texts.items() if text is not None}, self._links - changed.keys())

    def with_link(self, path: str, target: str) -> "DictTree":
        """A symbolic link."""
        other = self.with_files({path: target})
        return DictTree({name: data.decode() for name, data in other._files.items()}, {*other._links, path})

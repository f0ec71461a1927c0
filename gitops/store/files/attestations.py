"""Signed statements of where things came from, by what they are about: `repo/attestations/HEX.json`.

Rules: HEX is a layer's root, or the digest of a release document; what is signed again takes the place of what was
there; a reader sees a whole file or none.

    attestations.write(layer.root, data)
"""

from pathlib import Path

from gitops.store.files.blobs import HEX, arriving


class Attestations:
    """Files in one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, subject: str) -> Path:
        if not HEX.fullmatch(subject):
            raise ValueError(f"{subject!r} is not a digest")
        return self._root / f"{subject}.json"

    def read(self, subject: str) -> bytes | None:
        """None: there is none."""
        try:
            return self.path(subject).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, subject: str, data: bytes) -> None:
        with arriving(self.path(subject)) as new:
            new.write_bytes(data)

    def names(self) -> frozenset[str]:
        """What they are about."""
        return frozenset(path.stem for path in self._root.glob("[0-9a-f]*.json"))

    def others(self, subjects: set[str]) -> list[Path]:
        """The files that are about anything else."""
        return [path for path in self._root.glob("[0-9a-f]*.json") if path.stem not in subjects]

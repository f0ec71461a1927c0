"""The folder of published metadata, as files.

metadata = Folder(store.paths.metadata)
metadata.write("timestamp.json", data)
metadata.read("timestamp.json")         # None: there is no such file
"""

from pathlib import Path

from gitops.store.files.blobs import arriving

SUPERSEDED_STAYS = 86400
"""Seconds that superseded metadata stays, for clients that are in the middle of a slow refresh."""


class Folder:
    """Metadata by file name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes | None:
        path = self._root / name
        return path.read_bytes() if path.is_file() else None

    def write(self, name: str, data: bytes, staging: Path | None = None) -> None:
        """Clients see the old file or the new one, which is made in the folder `staging`."""
        with arriving(self._root / name, staging) as new:
            new.write_bytes(data)

    def prune(self, now: float) -> None:
        """Forget versions that newer ones replaced. Every root stays: an old client walks through them all."""
        newest: dict[str, int] = {}
        versions = {path: path.name.split(".", 1) for path in self._root.glob("[0-9]*.json")}
        for version, role in versions.values():
            newest[role] = max(newest.get(role, 0), int(version))
        for path, (version, role) in versions.items():
            old = int(version) < newest[role] and now - path.stat().st_mtime > SUPERSEDED_STAYS
            if old and role != "root.json":
                path.unlink()

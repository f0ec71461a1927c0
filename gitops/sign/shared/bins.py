"""The hash bins as they are published. Each is parsed once, however often it is asked for: all of them hold the fleet.

bins = Bins()
bins.read(folder.read, "bin-0", 3)      # Bin(expires, keyids, targets) of 3.bin-0.json, or None when it is not there
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Targets

from gitops.model import BlobRef, Target, sha256

Published = Callable[[str], bytes | None]
"""Reads a published metadata file by name; None when there is none."""


@dataclass(frozen=True)
class Bin:
    """One bin: until when it is signed, by which keys, and what it offers."""

    expires: datetime
    keyids: frozenset[str]
    targets: Mapping[str, Target]


class Bins:
    """Remembers the last version of each bin, by the digest of its file: a file that changed is parsed again."""

    def __init__(self) -> None:
        self._parsed: dict[str, tuple[str, Bin]] = {}

    def read(self, published: Published, role: str, version: int) -> Bin | None:
        """A bin by its role and version.

        Raises:
            RepositoryError: it is damaged.
        """
        data = published(f"{version}.{role}.json")
        if data is None:
            return None
        digest = sha256(data)
        if self._parsed.get(role, ("",))[0] != digest:
            self._parsed[role] = (digest, _parse(data))
        return self._parsed[role][1]


def _parse(data: bytes) -> Bin:
    document: Metadata[Targets] = Metadata.from_bytes(data)
    if not isinstance(document.signed, Targets):
        raise RepositoryError(f"this is {document.signed.type} metadata")
    targets = {
        path: Target(BlobRef(file.hashes["sha256"], file.length), dict(file.custom or {}))
        for path, file in document.signed.targets.items()
    }
    return Bin(document.signed.expires, frozenset(document.signatures), targets)

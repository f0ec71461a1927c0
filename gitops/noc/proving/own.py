"""A source whose layers are our own, where we have made them: they are proven like any other, and need not be fetched.

Mirror(copy, Own(origin, layers), root)
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from gitops.noc.origin import OriginError, Source
from gitops.store.files.blobs import HEX, Layers


@dataclass
class Own:
    """Implements `Source`."""

    source: Source
    layers: Layers

    def get(self, name: str, most: int) -> bytes:
        """See `Source.get`."""
        return self.source.get(name, most)

    def bring(self, name: str, part: Path, most: int) -> None:
        """See `Source.bring`."""
        kind, _, root = name.partition("/")
        packed = root.removesuffix(".zst") != root
        if kind != "layers" or not HEX.fullmatch(root.removesuffix(".zst")) or not self.layers.has(root[:64]):
            self.source.bring(name, part, most)
        elif packed:
            raise OriginError(f"{name}: ours is not packed", missing=True)
        else:
            shutil.copyfile(self.layers.path(root), part)

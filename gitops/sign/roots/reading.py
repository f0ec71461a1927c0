"""Root metadata as somebody has it in a file, or none.

root = read(Path("1.root.json").read_bytes())
"""

from securesystemslib.exceptions import StorageError
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError


def read(data: bytes) -> Root | None:
    """Root metadata; None: it is none."""
    try:
        root = Metadata.from_bytes(data).signed
    except (DeserializationError, RepositoryError, StorageError, ValueError, KeyError, TypeError):
        return None
    return root if isinstance(root, Root) else None

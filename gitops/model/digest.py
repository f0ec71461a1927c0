"""Identity is a hash: canonical JSON, and SHA-256 in hex.

sha256(canonical({"b": 1, "a": [2]}))     # the digest of {"a":[2],"b":1}
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

Json = dict[str, Any]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=0)]
"""What is annotated is checked where a document is read (reading.py)."""


def canonical(value: object) -> bytes:
    """Canonical JSON: sorted keys, no white space, UTF-8, no floats (as OLPC canonical JSON, for plain ASCII keys)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(data: bytes) -> str:
    """The lower-case hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class BlobRef:
    """A file in the store, by digest."""

    sha256: Digest
    size: Number

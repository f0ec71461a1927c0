"""The documents on keys of boxes: which one comes, who asks to be let in, and whom their firmware trusts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asking:
    """A key (Ed25519, hex) that reports under a box's name, though nobody let it in: since when, and when it was last
    heard (Unix seconds)."""

    key: str
    first: int
    last: int


@dataclass(frozen=True)
class BoxKeys:
    """Beside the key of a box: the one that takes its place with its first report, and since when (Unix seconds); those
    that ask; those that were revoked. Its key is the box."""

    coming: str = ""
    asking: tuple[Asking, ...] = ()
    since: int = 0
    revoked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Enrolled:
    """PK, KEK, db -> the digest of what boxes' firmware is enrolled with; NAME:DIGEST: what else a box may list that is
    on its way there."""

    rows: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HostCertificate:
    """The SSH host key that a box named, and the certificate that was made for `certified`, a key of before perhaps.
    `by`: digest of the authority and of the names in it; `until`: Unix seconds. Its key is the box."""

    key: str
    certificate: str = ""
    certified: str = ""
    by: str = ""
    until: int = 0


@dataclass(frozen=True)
class TakenDbx:
    """The digest of dbx that was last taken as this box's own. Its key is the box."""

    digest: str


BOX_KEYS: Mapping[type[Any], str] = {BoxKeys: "box-keys/", Enrolled: "enrolled", HostCertificate: "ssh/",
                                     TakenDbx: "dbx/"}  # fmt: skip
"""Their names (`documents.NAMES`)."""

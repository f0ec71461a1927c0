"""The document on the audit log: how far it was, as the database knows it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class AuditHead:
    """The number of a line, the newest when this was written, and its SHA-256; 0: there was none."""

    number: int = 0
    digest: str = ""


AUDITED: Mapping[type[object], str] = {AuditHead: "audit"}
"""Its name (`documents.NAMES`)."""

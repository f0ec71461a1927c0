"""What a site's own server needs to start a box by the network: one document, whose digest the signed metadata name.

In: what was made for a box, how it is known, what it said. Out: canonical JSON (docs/formats.md, "Starts at a site").
Rules: all files are named by digest and size, so that whoever has the document can prove them; what changes with each
report is not in it, as each change is signed anew; readers drop members that they do not know.

    Elsewhere.parse("kiosk-3", Elsewhere(...).encode())
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter, ValidationError

from gitops.errors import DocumentError, StoreError
from gitops.model import BlobRef, canonical
from gitops.model.digest import Digest
from gitops.store.notes.documents import as_json, decode
from gitops.store.notes.netboot import BootSets

FORMAT = 1
MAX_DOCUMENT = 64 << 10
"""Bytes: two sets, and two command lines."""
MAX_FILE = 1 << 30
"""Bytes of a file that starts a box: the firmware keeps it in memory."""
KNOWN_BY = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""MAC or UUID."""


@dataclass(frozen=True)
class _Written:
    format: int
    box: str
    known_by: tuple[str, ...]
    boot: dict[str, object]
    sizes: Mapping[Digest, int]
    installed: bool = False
    runs: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """Of one box. `sizes`: release of a set -> bytes of its document; `installed`: it said that it starts from its
    disk; `runs`: which release of the sets it said that it is Healthy with."""

    box: str
    known_by: tuple[str, ...]
    boot: BootSets
    sizes: Mapping[str, int] = field(default_factory=dict)
    installed: bool = False
    runs: str = ""

    def encode(self) -> bytes:
        """As it is signed."""
        return canonical(
            {
                "format": FORMAT,
                "box": self.box,
                "known_by": list(self.known_by),
                "boot": as_json(replace(self.boot, said=None)),
                "sizes": dict(self.sizes),
                "installed": self.installed,
                "runs": self.runs,
            }
        )

    @classmethod
    def parse(cls, box: str, data: bytes) -> "Elsewhere":
        """Raises DocumentError: it is none, another box's, or names what no box can be started with."""
        try:
            row = TypeAdapter(_Written).validate_json(data, strict=True)
            boot = decode(BootSets, box, canonical(row.boot).decode())
        except (ValidationError, StoreError, RecursionError) as error:
            raise DocumentError(f"{box}: what starts it by the network cannot be read") from error
        found = cls(row.box, row.known_by, boot, row.sizes, row.installed, row.runs)
        if row.format != FORMAT or row.box != box or not all(map(KNOWN_BY.fullmatch, row.known_by)):
            raise DocumentError(f"{box}: what starts it by the network is another box's, or of another format")
        if not boot.sets or any(not 0 < ref.size <= MAX_FILE for ref in found.files()):
            raise DocumentError(f"{box}: what starts it by the network has no files, or too large ones")
        return found

    def files(self) -> tuple[BlobRef, ...]:
        """All that is handed out, with the documents of the releases."""
        sets = self.boot.sets
        refs = (ref for each in sets for ref in (each.image, each.kernel, each.initrd, each.files) if ref)
        return (*refs, *(BlobRef(each.release, self.sizes.get(each.release, 0)) for each in sets))

"""The documents on boxes that the network starts: what they are handed, as whom the server knows them, and what became
of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gitops.model.digest import BlobRef
from gitops.model.machines.netboot import HandedOut


@dataclass(frozen=True)
class Machines:
    """MAC or SMBIOS UUID (lower case) -> box."""

    rows: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BootSet:
    """What starts one release by the network, all of it in the store. `made_of`: digest of its inputs; `image`: the
    ESP for UEFI HTTP Boot; `kernel`, `initrd` and `line` are for iPXE, `trouble`: why it cannot have them. `proven`:
    the box said that it is Healthy with it. `files`: what it puts onto a disk, if it does; in a tar."""

    release: str
    sequence: int
    made_of: str
    image: BlobRef
    kernel: BlobRef
    initrd: BlobRef
    line: str
    trouble: str = ""
    proven: bool = False
    files: BlobRef | None = None


@dataclass(frozen=True)
class BootSets:
    """The newest first, then the last that was proven. `since`: when the network first was to put them onto a disk, in
    Unix seconds; 0: it is not. `said`: the document with all that, for a site's own server. Its key is the box."""

    sets: tuple[BootSet, ...] = ()
    since: int = 0
    said: BlobRef | None = None


@dataclass(frozen=True)
class Starts:
    """The starts of the newest release that nothing has come of yet. `told`: that the box fell back was said. Its key
    is the box."""

    release: str = ""
    starts: tuple[HandedOut, ...] = ()
    told: bool = False


NETBOOT: Mapping[type[Any], str] = {Machines: "netboot", BootSets: "netboot/", Starts: "netboot-starts/"}
"""Their names (`documents.NAMES`)."""


def kept(boxes: Mapping[str, BootSets]) -> tuple[set[str], set[str]]:
    """The blobs that start boxes, and the releases that they start, by digest."""
    sets = [each for box in boxes.values() for each in box.sets]
    files = {ref.sha256 for each in sets for ref in (each.image, each.kernel, each.initrd, each.files) if ref}
    files |= {box.said.sha256 for box in boxes.values() if box.said}
    return files, {each.release for each in sets}

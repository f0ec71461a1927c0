"""The documents on single boxes: their disks, and their keys: which one comes, who asks, whom the firmware trusts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gitops.model.room import Room
from gitops.store.notes.adopting import ADOPTING
from gitops.store.notes.audited import AUDITED
from gitops.store.notes.copied import COPIED
from gitops.store.notes.deltas import DELTAS
from gitops.store.notes.directory import DIRECTORY
from gitops.store.notes.netboot import NETBOOT
from gitops.store.notes.newcomers import NEWCOMERS
from gitops.store.notes.nocs import NOCS
from gitops.store.notes.notices import NOTICES
from gitops.store.notes.people import PEOPLE
from gitops.store.notes.record import RECORD
from gitops.store.notes.remote import REMOTE
from gitops.store.notes.reported import REPORTED
from gitops.store.notes.turns import TURNS
from gitops.store.notes.waves import WAVES
from gitops.store.notes.wiped import WIPED
from gitops.store.notes.working import WORKING


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


@dataclass(frozen=True)
class BootChecked:
    """Whether the firmware of a box says that it checks what it boots; no, where it is a BIOS. `place`: where its
    layers lie, as its report has it; `came`: who brought its last update, where that was not the server (`bundle`,
    `noc`); `own`: it believes metadata of its own repository. Its key is the box."""

    checked: bool
    place: str = ""
    came: tuple[str, ...] = ()
    own: bool = False


@dataclass(frozen=True)
class BoxDisk:
    """Bytes of TOWEROS and the ESP: of the partitions that were made for a box (`made`), or of the file systems, as it
    reported them; `back`: the release that it would go back to, by its document's digest. Its key is the box."""

    toweros: int
    esp: int
    made: bool = False
    back: str = ""

    @property
    def room(self) -> Room:
        kind = Room.of_partitions if self.made else Room.of_file_systems
        return kind(self.toweros, self.esp)


BOX_KEYS: Mapping[type[Any], str] = {BoxKeys: "box-keys/", Enrolled: "enrolled", HostCertificate: "ssh/",
                                     TakenDbx: "dbx/", BoxDisk: "disk/", BootChecked: "boot/",
                                     **RECORD, **NETBOOT, **NEWCOMERS, **NOCS, **NOTICES, **REPORTED, **TURNS,
                                     **WAVES, **WIPED, **DIRECTORY, **WORKING, **PEOPLE, **AUDITED,
                                     **ADOPTING, **REMOTE, **COPIED, **DELTAS}  # fmt: skip
"""Their names (`documents.NAMES`), and those of the record of deployments."""

"""From images to what is published: image, layer, release, publication, TUF target.

Formats are in `contracts/` and `docs/formats.md`.
"""

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Annotated

from pydantic import Field, TypeAdapter

from gitops.errors import DocumentError
from gitops.model.digest import BlobRef, Digest, Json, Number, canonical, sha256
from gitops.model.fleet import HealthSpec
from gitops.model.reading import read
from gitops.model.source import Revision

BLOCK = 4096
"""Bytes per dm-verity block, data and hash alike."""
MAX_LAYER = 8 << 30
"""Bytes of one layer: more is a mistake or an attack."""
RELEASE_FORMAT = 1


@dataclass(frozen=True)
class Image:
    """A built (or pulled) OCI image. `layers` are diff ids (hex SHA-256 of the uncompressed tars), lowest first.

    `config` is the `config` member of the OCI image config: Env, Cmd, Entrypoint, WorkingDir, User, Labels.
    """

    reference: str
    key: str
    config: Json
    layers: tuple[str, ...]


@dataclass(frozen=True)
class AppImage:
    """An OCI image as Docker pulls it: manifest and config to the byte, and the layers' blobs in the store."""

    manifest: bytes
    config: bytes
    layers: tuple[BlobRef, ...]

    @property
    def digest(self) -> str:
        return sha256(self.manifest)


@dataclass(frozen=True)
class Layer:
    """One EROFS image, named by its dm-verity root hash. `size` is data only, a multiple of 4096."""

    root: Digest
    size: Annotated[int, Field(gt=0, le=MAX_LAYER, multiple_of=BLOCK)]


@dataclass(frozen=True)
class Mounted:
    """The layers of one container, lowest first. `target` is `rootfs` (read-only) or `lower` (init adds a tmpfs)."""

    path: str
    target: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class BootFiles:
    """The programs of the bootloader package, unsigned, each by the SHA-256 of all that a signature covers
    (`gitops.assemble.boot.pe.signed_digest`): systemd-boot, and the shells of UKI and addon."""

    loader: Digest
    stub: Digest
    addon: Digest


@dataclass(frozen=True)
class Content:
    """What a box runs. Its digest decides whether anything changed, and is what "in sync" compares. `boot` is there
    from recipe 2 on."""

    kernel: BlobRef
    initrd: BlobRef
    cmdline: str
    root: tuple[Layer, ...]
    containers: tuple[Mounted, ...]
    health: HealthSpec
    boot: BootFiles | None = None

    @cached_property
    def digest(self) -> str:
        return sha256(canonical(self.encode()))

    def encode(self) -> Json:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Release:
    """One canonical JSON document per box (contracts/release)."""

    box: str
    sequence: Number
    content: Content

    @classmethod
    def parse(cls, data: bytes) -> "Release":
        """Read a release document.

        Raises:
            DocumentError: damaged, another format, or with content that this version would not write the same way.
        """
        release = read(_RELEASE, "release.json", data, RELEASE_FORMAT)
        # The content digest covers every member: one that is dropped here would change what the box is asked to run.
        if canonical(release.content.encode()) != canonical(json.loads(data)["content"]):
            raise DocumentError("release.json has content that this version does not know")
        return release

    def encode(self) -> bytes:
        document = {"format": RELEASE_FORMAT, "box": self.box, "sequence": self.sequence}
        return canonical(document | {"content": self.content.encode()})

    @property
    def digest(self) -> str:
        return sha256(self.encode())

    def layers(self) -> tuple[Layer, ...]:
        """Every layer once, the root's first."""
        mounted = [layer for container in self.content.containers for layer in container.layers]
        return tuple(dict.fromkeys((*self.content.root, *mounted)))


@dataclass(frozen=True)
class Publication:
    """A release with its signed boot files: TUF targets, whose blobs are in the store. `loader` is systemd-boot; None:
    an older controller made it."""

    release: Release
    revision: Revision
    document: BlobRef
    uki: BlobRef
    addon: BlobRef
    loader: BlobRef | None = None

    @property
    def files(self) -> dict[str, BlobRef]:
        """What its box fetches beside layers, by the name of the target; the document comes first."""
        files = {"release.json": self.document, "uki.efi": self.uki, "addon.efi": self.addon}
        return files | ({"loader.efi": self.loader} if self.loader else {})


SELDOM = ("held", "retry", "wipe", "site", "labels", "netboot", "apply", "next")
"""Members of a statement that are only there where they say something."""


@dataclass(frozen=True)
class Apply:
    """A permission to restart, as far as a reader of statements needs it."""

    lease: Number
    until: Number


@dataclass(frozen=True)
class Coming:
    """What is to be fetched before its turn."""

    sequence: Number
    content: Digest
    release: BlobRef
    uki: BlobRef
    addon: BlobRef


@dataclass(frozen=True)
class Statement:
    """What the signed targets state of a release: the `custom` of its target (contracts/custom).

    `held` says who or what keeps the box from taking it. `evidence` is None when an older controller stated nothing.
    """

    sequence: Number
    content: Digest
    revision: str
    time: Number
    signers: tuple[str, ...]
    evidence: tuple[BlobRef, ...] | None = None
    held: str = ""
    retry: tuple[str, ...] = ()
    wipe: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    netboot: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    site: str = ""
    labels: tuple[str, ...] = ()
    apply: Apply | None = None
    next: Coming | None = None

    @classmethod
    def of(cls, publication: Publication) -> "Statement":
        release, revision = publication.release, publication.revision
        who, what = (revision.signers, revision.evidence)
        return cls(release.sequence, release.content.digest, str(revision), revision.time, who, what)

    @classmethod
    def parse(cls, custom: Json) -> "Statement":
        """Raises `DocumentError` when it is damaged or of another format."""
        return read(_STATEMENT, "custom of release.json", json.dumps(custom), RELEASE_FORMAT)

    def encode(self) -> Json:
        custom = {name: value for name, value in asdict(self).items() if name not in SELDOM or value}
        return custom | {
            "format": RELEASE_FORMAT,
            "signers": list(self.signers),
            "evidence": [asdict(each) for each in self.evidence or ()],
        }


_RELEASE, _STATEMENT = TypeAdapter(Release), TypeAdapter(Statement)


@dataclass(frozen=True)
class Target:
    """One TUF target: a blob under a path, with what a box must know before it fetches it."""

    ref: BlobRef
    custom: Json = field(default_factory=dict)

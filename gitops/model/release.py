"""From images to what is published: image, layer, release, publication, TUF target.

Formats are in `docs/formats.md`.
"""

from dataclasses import asdict, dataclass, field

from gitops.model.digest import BlobRef, Json, canonical, sha256
from gitops.model.fleet import HealthSpec
from gitops.model.source import Revision

BLOCK = 4096
"""Bytes per dm-verity block, data and hash alike."""
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

    root: str
    size: int


@dataclass(frozen=True)
class Mounted:
    """The layers of one container, lowest first. `target` is `rootfs` (read-only) or `lower` (init adds a tmpfs)."""

    path: str
    target: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Content:
    """What a box runs. Its digest decides whether anything changed, and is what "in sync" compares."""

    kernel: BlobRef
    initrd: BlobRef
    cmdline: str
    root: tuple[Layer, ...]
    containers: tuple[Mounted, ...]
    health: HealthSpec

    @property
    def digest(self) -> str:
        return sha256(canonical(asdict(self)))


@dataclass(frozen=True)
class Release:
    """One canonical JSON document per box (docs/formats.md)."""

    box: str
    sequence: int
    content: Content

    def encode(self) -> bytes:
        document = {"format": RELEASE_FORMAT, "box": self.box, "sequence": self.sequence}
        return canonical(document | {"content": asdict(self.content)})

    @property
    def digest(self) -> str:
        return sha256(self.encode())

    def layers(self) -> tuple[Layer, ...]:
        """Every layer once, the root's first."""
        mounted = [layer for container in self.content.containers for layer in container.layers]
        return tuple(dict.fromkeys((*self.content.root, *mounted)))


@dataclass(frozen=True)
class Publication:
    """A release with its signed boot files. All three are TUF targets; the blobs are in the store."""

    release: Release
    revision: Revision
    document: BlobRef
    uki: BlobRef
    addon: BlobRef


@dataclass(frozen=True)
class Target:
    """One TUF target: a blob under a path, with what a box must know before it fetches it."""

    ref: BlobRef
    custom: Json = field(default_factory=dict)

"""The nouns, one per stage, in the order in which data flows.

    Revision -> Fleet -> Plan -> Image -> Layer -> Release -> Publication -> Report

All are frozen; none does I/O. Digests are lower-case hex without a prefix (`sha256:` is added only for people).
Sizes are bytes, times are Unix seconds, paths inside a repository use `/` and never start with it.
Formats that leave the controller are described in `docs/formats.md`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from gitops.digest import Json, canonical, sha256
from gitops.policy import PathRule, Policy
from gitops.tree import Entry, Tree

__all__ = ["Entry", "Json", "PathRule", "Policy", "Tree", "canonical", "sha256"]
BLOCK = 4096
"""Bytes per dm-verity block, data and hash alike."""
RELEASE_FORMAT = 1
REPORT_FORMAT = 1


# --- source: what Git says -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Revision:
    """A commit that may deploy. `sequence` counts its ancestors (itself included), plus the settings' epoch.

    `ref` is a branch or a release tag. `evidence` are the raw Git objects that were judged: commits, and tags.
    """

    ref: str
    commit: str
    sequence: int
    time: int
    subject: str = ""
    signers: tuple[str, ...] = ()
    evidence: "tuple[BlobRef, ...]" = ()
    tagged: bool = False
    """`ref` is a release tag."""

    @classmethod
    def of(cls, row: Json) -> "Revision":
        """From its JSON form."""
        evidence = tuple(BlobRef(**ref) for ref in row.get("evidence", ()))
        return cls(**{**row, "signers": tuple(row["signers"]), "evidence": evidence})

    def __str__(self) -> str:
        return f"{self.ref}@sha1:{self.commit}"


# --- fleet: what the repository may say ------------------------------------------------------------------------------
@dataclass(frozen=True)
class LockedFile:
    """One input of a package: a Debian package or a wheel, by digest. `path` is where the mirror or index keeps it."""

    kind: str
    name: str
    version: str
    sha256: str
    size: int
    path: str

    @property
    def filename(self) -> str:
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Package:
    """A folder `pkg/NAME`: LinuxKit's build.yml + Dockerfile, plus packages.lock.

    `tag` is what `linuxkit pkg show-tag` prints. `key` is the transitive identity: the tag extended by base images,
    the keys of sibling packages, build arguments, platform and recipe. `depends` are paths of sibling packages.
    `build_args` may hold `@lkt:pkg:PATH` values, resolved to the sibling's image by the builder. `rootfs`, if not
    empty, is the mmdebstrap variant that turns the locked files into `rootfs.tar` of the build context.
    """

    path: str
    image: str
    tag: str
    key: str
    depends: tuple[str, ...] = ()
    build_args: tuple[tuple[str, str], ...] = ()
    config: Json = field(default_factory=dict)
    lock: tuple[LockedFile, ...] = ()
    rootfs: str = ""


@dataclass(frozen=True)
class Container:
    """One entry of LinuxKit's onboot, onshutdown or services. `settings` are LinuxKit's own fields, validated."""

    name: str
    image: str
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Spec:
    """Merged LinuxKit YAML. Images are references, or `@pkg:PATH` (path inside the fleet repo) for packages.

    `files` and `volumes` are LinuxKit's entries; a file's `source:` is resolved to `contents`, or `contentsBase64`.
    `kernel_binary`, `kernel_tar` and `kernel_ucode` are files in the kernel's image: the kernel (empty: `kernel`), its
    modules (empty: `kernel.tar`; `none`: there are none), and the microcode's cpio (empty: none).
    """

    kernel: str
    cmdline: str
    init: tuple[str, ...] = ()
    onboot: tuple[Container, ...] = ()
    onshutdown: tuple[Container, ...] = ()
    services: tuple[Container, ...] = ()
    files: tuple[Json, ...] = ()
    volumes: tuple[Json, ...] = ()
    kernel_binary: str = ""
    kernel_tar: str = ""
    kernel_ucode: str = ""

    def containers(self) -> tuple[Container, ...]:
        return self.onboot + self.onshutdown + self.services

    def images(self) -> tuple[str, ...]:
        """Every image that the spec names, in order, once."""
        volumes = (str(volume.get("image") or "") for volume in self.volumes)
        named = (self.kernel, *self.init, *(c.image for c in self.containers()), *volumes)
        return tuple(dict.fromkeys(name for name in named if name))


APPS = "etc/compose"
"""Where the files of apps are on a box."""


@dataclass(frozen=True)
class App:
    """A compose app: user containers that Docker runs on the box.

    `compose` is the compose file's value; `images` says what each service runs, `@pkg:PATH` or NAME@sha256:DIGEST.
    `pull` is `staged` (the images travel in the release) or `registry` (Docker pulls them from the mirror, by digest).
    """

    name: str
    path: str
    pull: str
    compose: Json
    images: Mapping[str, str]
    files: tuple[Json, ...] = ()


@dataclass(frozen=True)
class Network:
    """How a box reaches its server: DHCP, or one static address (CIDR) with gateway and name servers."""

    interface: str = "eth0"
    address: str = ""
    gateway: str = ""
    dns: tuple[str, ...] = ()

    @property
    def dhcp(self) -> bool:
        return not self.address


@dataclass(frozen=True)
class HealthCheck:
    """`http`: GET `target`, expect `status` and `contains`. `service`, `container`: it is running, and stays so."""

    name: str
    type: str
    target: str
    status: int = 200
    contains: str = ""
    timeout: int = 10


@dataclass(frozen=True)
class Health:
    """What must hold before a release is kept: all checks, for `probation` seconds after the agent's start."""

    probation: int = 120
    checks: tuple[HealthCheck, ...] = ()


@dataclass(frozen=True)
class Box:
    """One machine, as fleet > role > box say it together.

    `files` are its own, as LinuxKit's `files:` entries: they go into its own small layer. `suspended`, if not empty,
    says who holds it and why. `poll` is the seconds between two looks at the server.
    """

    name: str
    role: str
    spec: Spec
    network: Network = Network()
    health: Health = Health()
    site: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    files: tuple[Json, ...] = ()
    suspended: str = ""
    poll: int = 30
    apps: tuple[App, ...] = ()


@dataclass(frozen=True)
class Fleet:
    """A whole fleet repo at one revision, validated."""

    policy: Policy
    packages: Mapping[str, Package]
    boxes: Mapping[str, Box]


# --- plan: what a revision changes -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Existing:
    """What there is already: keys of built packages; per box the `box_key` that its last release was made from;
    per package the key at the last planned revision, which says whether a build is new or changed."""

    images: frozenset[str] = frozenset()
    boxes: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One line of a plan: what, and why."""

    subject: str
    action: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """What must be done so that the fleet is as `revision` says. Builds are in the order in which they can run."""

    revision: Revision
    builds: tuple[Step, ...] = ()
    boxes: tuple[Step, ...] = ()
    removed: tuple[Step, ...] = ()
    box_keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.builds or self.boxes or self.removed)


# --- build: packages become images -----------------------------------------------------------------------------------
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
    layers: tuple["BlobRef", ...]

    @property
    def digest(self) -> str:
        return sha256(self.manifest)


# --- assemble: images become a release -------------------------------------------------------------------------------
@dataclass(frozen=True)
class Layer:
    """One EROFS image, named by its dm-verity root hash. `size` is data only, a multiple of 4096."""

    root: str
    size: int


@dataclass(frozen=True)
class BlobRef:
    """A file in the store, by digest."""

    sha256: str
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
    health: Health

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


# --- sign and publish: a release becomes something that a box trusts ------------------------------------------------
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


# --- the box: what it says back --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Failure:
    """A release that the box went back from. `verdict` is `failed` (never again) or `indeterminate` (again later)."""

    sequence: int
    release: str
    verdict: str
    reason: str
    time: int = 0
    log: str = ""


@dataclass(frozen=True)
class Report:
    """What a box says of itself, signature checked (docs/formats.md, "Report")."""

    box: str
    boot_id: str
    counter: int
    time: int
    agent: str
    sequence: int
    release: str
    content: str
    phase: str
    health: str
    error: str = ""
    staged: int = 0
    rollback: int = 0
    failures: tuple[Failure, ...] = ()
    checks: tuple[Json, ...] = ()
    fetched: Json = field(default_factory=dict)
    entry: str = ""
    degraded: tuple[str, ...] = ()

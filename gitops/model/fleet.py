"""What the fleet repo may say, validated: packages, specs, apps, boxes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from gitops.model.access.remote import REMOTE, Allowed
from gitops.model.digest import Json
from gitops.model.keys import (
    DROP_IN,
    EVERYWHERE,
    NOC_DROP_IN,
    STATIC_ADDRESS,
    WIRING,
    Key,
    Level,
    keys_of,
)
from gitops.model.machines.disk import DiskRule
from gitops.model.machines.newcomer import Hardware
from gitops.model.machines.wiping import Wipe
from gitops.model.network.copies import Copies
from gitops.model.network.wiring import DHCP, Wiring
from gitops.model.rollout.points import Point, Points
from gitops.model.rollout.turns import VetoLine
from gitops.model.rollout.windows import MoratoriumLine, WindowLine, Zone
from gitops.model.security.advisory import VexStatement
from gitops.model.source import Policy

FETCHED = "fetch"
"""The kind of a locked file that is no package of anything."""


@dataclass(frozen=True)
class LockedFile:
    """One input of a package, by digest: a Debian package, a wheel, or a file that was fetched (`kind`). `path` is
    where the mirror or index keeps it, or the address at which somebody else does.

    `source` and `source_version` are a Debian package's source, where it has another name or version: advisories speak
    of those. Empty: the same as the package's.
    """

    kind: str
    name: str
    version: str
    sha256: str
    size: int
    path: str
    source: str = ""
    source_version: str = ""

    @property
    def filename(self) -> str:
        """Its name in a build."""
        return self.name if self.kind == FETCHED else self.path.rsplit("/", 1)[-1]

    @property
    def elsewhere(self) -> bool:
        """Whether it is neither Debian's nor the Python index's: its path is an address."""
        return "://" in self.path


@dataclass(frozen=True)
class Package:
    """A folder `pkg/NAME`: LinuxKit's build.yml + Dockerfile, plus packages.lock.

    `tag` is what `linuxkit pkg show-tag` prints. `key` is the transitive identity: the tag extended by base images,
    the keys of sibling packages, build arguments, platform and recipe. `depends` are paths of sibling packages.
    `build_args` may hold `@lkt:pkg:PATH` values, resolved to the sibling's image by the builder. `rootfs`, if not
    empty, is the mmdebstrap variant that turns the locked files into `rootfs.tar` of the build context. `bases` are
    images from outside that it stands on or takes from: NAME@sha256:DIGEST, or NAME:TAG@sha256:DIGEST. `hashed` is the
    tag as it would be without `tag:` in build.yml, so that it moves with the content. `dockerfile` is a path in the
    folder; `sources` are other folders of the repo with the places that they have in the build (empty: its top).
    `starts` is what the Dockerfile alone says of a command: `named`, `nothing`, the `@lkt:pkg:PATH` of the sibling that
    knows, or empty: an image from outside does. `moved`: it has steps that earlier controllers built otherwise.
    `copies` are lines of the Dockerfile, and what is copied there from the build's folder;
    `barren` are those of a RUN where no program can be.
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
    bases: tuple[str, ...] = ()
    hashed: str = ""
    dockerfile: str = "Dockerfile"
    sources: tuple[tuple[str, str], ...] = ()
    starts: str = ""
    moved: bool = False
    copies: tuple[tuple[int, str], ...] = ()
    barren: tuple[int, ...] = ()


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

    def changed(self, containers: Mapping[str, Container | None]) -> "Spec":
        """This one with the containers of these names replaced, or left out where there is None."""

        def section(old: tuple[Container, ...]) -> tuple[Container, ...]:
            return tuple(new for each in old if (new := containers.get(each.name, each)) is not None)

        onboot, onshutdown, services = map(section, (self.onboot, self.onshutdown, self.services))
        return replace(self, onboot=onboot, onshutdown=onshutdown, services=services)

    def images(self) -> tuple[str, ...]:
        """Every image that the spec names, in order, once."""
        volumes = (str(volume.get("image") or "") for volume in self.volumes)
        named = (self.kernel, *self.init, *(c.image for c in self.containers()), *volumes)
        return tuple(dict.fromkeys(name for name in named if name))


APPS = "etc/compose"
"""Where the files of apps are on a box."""
OWN = "x-toweros"
"""What TowerOS notes in the value of a compose file (which takes any key that begins with `x-`), and does not write."""


@dataclass(frozen=True)
class App:
    """A compose app: user containers that Docker runs on the box.

    `compose` is the compose file's value; below `OWN`, where services extend others, `whole` has their keys by service,
    and `tags` what compose's own tags stand at. `images` says what each service runs, `@pkg:PATH` or
    NAME@sha256:DIGEST. `pull` is `staged` (the images travel in the release) or `registry` (Docker pulls them from the
    mirror, by digest).
    """

    name: str
    path: str
    pull: str
    compose: Json
    images: Mapping[str, str]
    files: tuple[Json, ...] = ()

    def services(self) -> dict[str, Json]:
        """What each service is, with what it extends."""
        return {**self.compose["services"], **(self.compose.get(OWN) or {}).get("whole", {})}

    def container_names(self) -> list[str]:
        """As `docker ps` shows them, and as the compose file does."""
        services = self.services()
        named = [str(services[name]["container_name"]) for name in self.images if "container_name" in services[name]]
        return [*self.images, *named]


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

    @property
    def word(self) -> str:
        """`toweros.net` (docs/formats.md)."""
        return ",".join((self.interface, self.address, self.gateway, *self.dns)) if self.address else DHCP


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
class HealthSpec:
    """What must hold before a release is kept: all checks, for `probation` seconds after all services are made."""

    probation: int = 120
    checks: tuple[HealthCheck, ...] = ()


CARD, SMBIOS = "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
WHICH_DISK = r"^[A-Za-z0-9:._/-]{1,100}$"


class Netboot(TypedDict, total=False):
    """How the update server knows a machine that the network starts: by the address of its network card, or by what its
    SMBIOS calls it. One of the two; neither is a secret. `install`: the disk that becomes the box's, from which it
    starts afterwards (`largest`, `smallest`, `ask`, a disk's name)."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]
    mac: Annotated[str, StringConstraints(pattern=CARD)]
    uuid: Annotated[str, StringConstraints(pattern=SMBIOS)]
    install: Annotated[str, StringConstraints(pattern=WHICH_DISK)]


WhoAndWhy = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\n]+$")]
Address = Annotated[
    str, StringConstraints(max_length=300, pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._/-]*)?$")
]
Seconds = Annotated[int, Field(ge=1, le=86400)]


@dataclass(frozen=True)
class Box:
    """One machine, as fleet > role > box say it together. What follows from a member is its `Key`.

    `files` are its own, as LinuxKit's `files:` entries: they go into its own small layer. `suspended`, if not empty,
    says who holds it and why. `poll` is the seconds between two looks at the server.
    """

    name: str
    role: str
    spec: Annotated[Spec, Key(word="spec")]
    network: Annotated[Network, Key(word="network", writes=STATIC_ADDRESS)] = Network()
    wiring: Annotated[Wiring | None, Key(word="links, proxy or clocks", writes=WIRING)] = None
    """With it, `network` is only its way out."""
    health: Annotated[HealthSpec, Key(word="health checks")] = HealthSpec()
    site: Annotated[str, Field(max_length=1000), Key("Where it stands.", (Level.box,))] = ""
    labels: tuple[tuple[str, str], ...] = ()
    files: Annotated[tuple[Json, ...], Key(word="files")] = ()
    retry: Annotated[WhoAndWhy, Key("`who: why`. What failed there is tried once more.", EVERYWHERE)] = ""
    suspended: Annotated[WhoAndWhy, Key("`who: why`. Held boxes stay as they are.", EVERYWHERE)] = ""
    freeze: Annotated[WhoAndWhy, Key("`who: why`. Nothing new is begun.", EVERYWHERE)] = ""
    windows: Annotated[
        tuple[WindowLine, ...], Field(max_length=32), Key("When something new may begin; none: always.", EVERYWHERE)
    ] = ()
    moratoria: Annotated[
        tuple[MoratoriumLine, ...], Field(max_length=32), Key("Dates on which nothing new begins.", EVERYWHERE)
    ] = ()
    pin: Annotated[Point, Key("A tag or a commit: boxes stay on what it gives.", EVERYWHERE)] = ""
    floor: Annotated[Points, Key("Tags or commits that no box skips on its way.", EVERYWHERE)] = ()
    timezone: Annotated[Zone, Key("The clock of windows and moratoria.", EVERYWHERE)] = "UTC"
    veto: Annotated[VetoLine, Key("How long its own services may hold a restart off: `2 hours`.", EVERYWHERE)] = (
        "2 hours"
    )
    poll: Annotated[
        Seconds, Key("Seconds between two looks at the server.", EVERYWHERE, word="poll", writes=DROP_IN)
    ] = 30
    apps: Annotated[tuple[App, ...], Key(word="apps")] = ()
    disk: Annotated[
        DiskRule | None, Key("How the disk is divided: sizes, or `rest` for one of them.", EVERYWHERE, word="disk")
    ] = None
    netboot: Annotated[
        Netboot | None,
        Key("The network starts it: how the server knows it; `install`: onto which disk it goes.", (Level.box,)),
    ] = None
    hardware: Hardware | None = None
    wipe: Annotated[
        Wipe | None,
        Key("Its machine is wiped: keys, data, then it is off. `toweros box wipe` writes it.", (Level.box,)),
    ] = None
    noc: Annotated[
        Address | None,
        Key("The site's own server (`toweros noc`), asked first.", EVERYWHERE, word="noc", writes=NOC_DROP_IN),
    ] = None
    remote: Annotated[Allowed | None, REMOTE] = None

    copies: Copies = None

    def images_of_others(self) -> tuple[str, ...]:
        """Every image that it needs and no package makes."""
        named = (*self.spec.images(), *(name for app in self.apps for name in app.images.values()))
        return tuple(dict.fromkeys(name for name in named if not name.startswith("@pkg:")))


KEYS = keys_of(Box)
"""What follows from each member of a box that anything follows from."""


@dataclass(frozen=True, eq=False)
class Fleet:
    """A whole fleet repo at one revision, validated. Two are never compared: each is itself, and a key of caches."""

    policy: Policy
    packages: Mapping[str, Package]
    boxes: Mapping[str, Box]
    statements: tuple[VexStatement, ...] = ()
    """What its people say of vulnerabilities. No box is made of it."""
    newcomers: Mapping[str, Box] = field(default_factory=dict)
    """By role: what a machine of it runs that has no name yet (`machines.newcomer`). A role is missing where its files
    need values that only boxes have."""

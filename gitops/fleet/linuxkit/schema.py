# ruff: noqa: N815 - the names are LinuxKit's own
"""What LinuxKit YAML may say: every field of its moby configuration, as typed models.

In: values of one YAML file (see `schema.check`). Out: frozen models; `dump` gives LinuxKit's own keys again. The source
of the format is LinuxKit's docs/yaml.md. `null` says nothing, as an absent key does.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints, model_validator

from gitops.fleet.documents.names import checked_path
from gitops.fleet.documents.strict import Strict
from gitops.fleet.linuxkit.resources import Resources
from gitops.fleet.schema import not_an_app
from gitops.model import Json

_CAPABILITIES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
    SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
    SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"""
_RLIMITS = "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME"

CAPABILITIES = tuple(f"CAP_{name}" for name in _CAPABILITIES.split())
"""capabilities(7), in the kernel's order."""

RLIMITS = frozenset(f"RLIMIT_{name}" for name in _RLIMITS.split())
UNLIMITED = 2**64 - 1

MOUNT_POINTS = {
    "devpts": "/dev/pts",
    "mqueue": "/dev/mqueue",
    "proc": "/proc",
    "sysfs": "/sys",
    "cgroup": "/sys/fs/cgroup",
}
"""Where a file system goes when the YAML does not say."""


def expand_capabilities(names: list[str] | tuple[str, ...] | None) -> list[str]:
    """A list of capabilities with the words `all` and `none` carried out; `ValueError` for an unknown one."""
    words: dict[str, list[str]] = {"none": [], "all": list(CAPABILITIES)}
    if names and len(names) == 1 and names[0].lower() in words:
        return words[names[0].lower()]
    for name in names or ():
        if name not in CAPABILITIES:
            raise ValueError(f"unknown capability {name}; they are written as CAP_NET_ADMIN, or `all` alone")
    return list(names or ())


def parse_rlimit(text: str) -> Json:
    """`NAME,SOFT,HARD` or `NAME,BOTH` as the runtime spec's object; `ValueError` for anything else."""
    name, *limits = (part.strip() for part in text.split(","))
    name = "RLIMIT_" + name.upper().removeprefix("RLIMIT_")
    if name not in RLIMITS or not 1 <= len(limits) <= 2:
        raise ValueError(f"{text} is not NAME,SOFT,HARD with a name such as nofile")
    values = [UNLIMITED if limit.lower() == "unlimited" else int(limit) for limit in limits]
    return {"type": name, "soft": values[0], "hard": values[-1]}


def _capabilities(names: tuple[str, ...]) -> tuple[str, ...]:
    expand_capabilities(names)
    return names


def _rlimit(text: str) -> str:
    parse_rlimit(text)
    return text


def _bind(text: str) -> str:
    parts = text.split(":")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise ValueError(f"{text} is not SOURCE:DESTINATION or SOURCE:DESTINATION:OPTIONS")
    return text


def _tmpfs(text: str) -> str:
    if text.count(":") > 1 or not text.startswith("/"):
        raise ValueError(f"{text} is not /DESTINATION or /DESTINATION:OPTIONS")
    return text


def _cgroup(path: str) -> str:
    core = re.fullmatch("/core/([^/]+)", path)
    parts = core.groups() if core else tuple(path.split("/"))
    if {"", ".", "..", "run"} & set(parts) or (core and core[1] == "containerd"):
        raise ValueError(
            f"{path} is neither /core/NAME (of a service that keeps the box within reach) nor a relative path"
        )
    return path


def _mode(text: str) -> str:
    if not re.fullmatch("[0-7]{3,5}", text):
        raise ValueError('an octal mode such as "0644" is expected')
    return text


def _inside(path: str) -> str:
    parts = path.strip("/").split("/")
    if {".", "..", ""} & set(parts) or any(part.startswith(".wh.") for part in parts):
        raise ValueError("a path without `.`, `..`, `.wh.` and empty parts is expected")
    return checked_path(path.strip("/"))


def _format(word: Any) -> Any:
    if word == "oci":
        raise ValueError("no volume of a box is an OCI layout: leave `format` out, and it has the image's own files")
    return word


def _platform(word: Any) -> Any:
    if str(word).startswith("linux/") and word != "linux/amd64":
        raise ValueError(f"boxes are linux/amd64, and a volume has their files alone: leave {str(word)[:40]} out")
    return word


Id = str | Annotated[int, Field(ge=0, lt=2**32)] | None
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$", max_length=76)]
"""What containerd takes as a container's name."""
Strings = tuple[str, ...] | None
Capabilities = Annotated[tuple[str, ...], AfterValidator(_capabilities)] | None
Binds = tuple[Annotated[str, AfterValidator(_bind)], ...] | None
Mode = Annotated[str, AfterValidator(_mode)]


class RuntimeMount(Strict):
    """A mount that init makes before the container starts."""

    type: str | None = None
    source: str | None = None
    destination: str | None = None
    options: Strings = None


class Mount(RuntimeMount):
    """A mount in the runtime spec's words; what can be derived may be left out."""

    @model_validator(mode="after")
    def _complete(self) -> "Mount":
        kind = self.type or (self.source if self.source in MOUNT_POINTS else None)
        if not kind and self.destination != "/dev":
            raise ValueError("a mount needs a `type`")
        if not self.destination and kind not in MOUNT_POINTS:
            raise ValueError("a mount needs a `destination`")
        return self


class Device(Strict):
    """A device node, or with the path `all` a whole class of them."""

    path: str
    type: Literal["a", "b", "c", "p", "u"]
    major: int | None = None
    minor: int | None = None
    mode: Mode | None = None


class Interface(Strict):
    """A network interface that init makes or moves."""

    name: str
    add: str | None = None
    peer: str | None = None
    createInRoot: bool | None = None


class BindNS(Strict):
    """Where init binds the container's namespaces."""

    cgroup: str | None = None
    ipc: str | None = None
    mnt: str | None = None
    net: str | None = None
    pid: str | None = None
    user: str | None = None
    uts: str | None = None


class Runtime(Strict):
    """What init does around a container (`runtime.json`)."""

    cgroups: Strings = None
    mounts: tuple[RuntimeMount, ...] | None = None
    mkdir: Strings = None
    interfaces: tuple[Interface, ...] | None = None
    bindNS: BindNS | None = None
    namespace: str | None = None


class Settings(Strict):
    """What can be said of a container beside its name and image; the label `org.mobyproject.config` says the same."""

    capabilities: Capabilities = None
    capabilities_add: Capabilities = Field(default=None, alias="capabilities.add")
    ambient: Capabilities = None
    mounts: tuple[Mount, ...] | None = None
    binds: Binds = None
    binds_add: Binds = Field(default=None, alias="binds.add")
    tmpfs: tuple[Annotated[str, AfterValidator(_tmpfs)], ...] | None = None
    command: Strings = None
    env: Strings = None
    cwd: str | None = None
    net: str | None = None
    pid: str | None = None
    ipc: str | None = None
    uts: str | None = None
    userns: str | None = None
    hostname: str | None = None
    readonly: bool | None = None
    maskedPaths: Strings = None
    readonlyPaths: Strings = None
    uid: Id = None
    gid: Id = None
    additionalGids: tuple[Id, ...] | None = None
    noNewPrivileges: bool | None = None
    oomScoreAdj: Annotated[int, Field(ge=-1000, le=1000)] | None = None
    rootfsPropagation: str | None = None
    cgroupsPath: Annotated[str, AfterValidator(_cgroup)] | None = None
    resources: Resources | None = None
    sysctl: dict[str, str] | None = None
    rlimits: tuple[Annotated[str, AfterValidator(_rlimit)], ...] | None = None
    annotations: dict[str, str] | None = None
    devices: tuple[Device, ...] | None = None
    runtime: Runtime | None = None


class Container(Settings):
    """An entry of `onboot`, `onshutdown` or `services`."""

    name: Name
    image: Annotated[str, StringConstraints(min_length=1)]


class Kernel(Strict):
    """The kernel's image, and the names of the files in it."""

    image: str | None = None
    cmdline: str | None = None
    binary: str | None = None
    tar: str | None = None
    ucode: str | None = None


class Volume(Strict):
    """A folder that containers share; with an image, it starts with that image's content, for the one platform here."""

    name: Name
    image: str | None = None
    readonly: bool | None = None
    format: Annotated[Literal["filesystem"], BeforeValidator(_format)] | None = None
    platforms: (
        Annotated[tuple[Annotated[Literal["linux/amd64"], BeforeValidator(_platform)], ...], Field(max_length=1)] | None
    ) = None


class File(Strict):
    """An entry of `files:`: a file, a folder or a link in the root."""

    path: Annotated[str, AfterValidator(_inside)]
    directory: bool | None = None
    symlink: Annotated[str, AfterValidator(checked_path)] | None = None
    contents: str | None = None
    source: str | None = None
    metadata: Literal["json", "yaml"] | None = None
    optional: bool | None = None
    mode: Mode | None = None
    uid: Id = None
    gid: Id = None

    @model_validator(mode="after")
    def _one_kind(self) -> "File":
        kinds = (self.contents, self.source, self.symlink, self.metadata)
        if sum(kind is not None for kind in kinds) + bool(self.directory) != 1:
            raise ValueError("exactly one of `contents`, `source`, `directory`, `symlink` and `metadata` is expected")
        not_an_app(self.path, self.directory)
        return self


class Moby(Strict):
    """A whole LinuxKit YAML file."""

    kernel: Kernel | None = None
    init: Strings = None
    onboot: tuple[Container, ...] | None = None
    onshutdown: tuple[Container, ...] | None = None
    services: tuple[Container, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    files: tuple[File, ...] | None = None
    trust: Any = None
    """LinuxKit takes it and does nothing with it; so do we."""


def dump(model: BaseModel) -> Json:
    """What the YAML said, with LinuxKit's own keys, lists as lists, and without what says nothing."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)

# ruff: noqa: N815 - the names are the runtime spec's own
"""`resources:` of a container: its cgroup, in the words of the OCI runtime spec 1.2 (config-linux.md).

In: values of a LinuxKit YAML file. Out: frozen models, whose members go into `config.json` as they are.
"""

from typing import Annotated, Literal

from pydantic import Field

from gitops.fleet.documents.strict import Strict

Number = Annotated[int, Field(ge=0)] | None


class DeviceRule(Strict):
    """A rule of the device cgroup."""

    allow: bool
    type: Literal["a", "b", "c"] | None = None
    major: int | None = None
    minor: int | None = None
    access: str | None = None


class Memory(Strict):
    """Limits in bytes."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernelTCP: int | None = None
    swappiness: Number = None
    disableOOMKiller: bool | None = None
    useHierarchy: bool | None = None
    checkBeforeUpdate: bool | None = None


class Cpu(Strict):
    """Shares, and times in microseconds."""

    shares: Number = None
    quota: int | None = None
    burst: Number = None
    period: Number = None
    realtimeRuntime: int | None = None
    realtimePeriod: Number = None
    cpus: str | None = None
    mems: str | None = None
    idle: int | None = None


class Pids(Strict):
    """How many processes."""

    limit: int


class HugepageLimit(Strict):
    """Bytes of one page size."""

    pageSize: str
    limit: int


class Weight(Strict):
    """A block device's weight."""

    major: int
    minor: int
    weight: Number = None
    leafWeight: Number = None


class Throttle(Strict):
    """A block device's rate."""

    major: int
    minor: int
    rate: int


class BlockIO(Strict):
    """Weights and rates of block devices."""

    weight: Number = None
    leafWeight: Number = None
    weightDevice: tuple[Weight, ...] | None = None
    throttleReadBpsDevice: tuple[Throttle, ...] | None = None
    throttleWriteBpsDevice: tuple[Throttle, ...] | None = None
    throttleReadIOPSDevice: tuple[Throttle, ...] | None = None
    throttleWriteIOPSDevice: tuple[Throttle, ...] | None = None


class Priority(Strict):
    """An interface's priority."""

    name: str
    priority: int


class NetworkLimits(Strict):
    """The network cgroup."""

    classID: Number = None
    priorities: tuple[Priority, ...] | None = None


class Resources(Strict):
    """The container's cgroup, in the runtime spec's words."""

    devices: tuple[DeviceRule, ...] | None = None
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    blockIO: BlockIO | None = None
    hugepageLimits: tuple[HugepageLimit, ...] | None = None
    network: NetworkLimits | None = None
    unified: dict[str, str] | None = None

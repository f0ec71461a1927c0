"""The nouns of the box, and the reading of documents that somebody else wrote.

In: bytes. Out: frozen dataclasses that hold only what was checked. Anything odd raises `Refused` with a reason that
goes into the report; nothing here does I/O.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = dict[str, Any]

BLOCK = 4096
FORMAT = 1
MAX_LAYERS = 4096
MAX_LAYER = 8 << 30
"""Bytes of one layer: more is a mistake or an attack."""
MAX_DOING = 1000
MAX_RETRIES = 8
MAX_WINDOWS, MAX_MORATORIA = 224, 32
MAX_TIME = 1 << 53
ZONE = re.compile(r"[A-Za-z0-9<][A-Za-z0-9<>+,.:/-]{0,99}", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{64}")
ENTRY = re.compile(r"toweros-(\d+)(?:\+(\d+)(?:-(\d+))?)?\.efi")


class Verdict(StrEnum):
    """Why the box went back from a release. `FAILED`: never again. `INDETERMINATE`: again, later."""

    FAILED = "failed"
    INDETERMINATE = "indeterminate"


class Refused(Exception):  # noqa: N818 - an answer, not an accident
    """What was offered is not what it must be; the box stays as it was. The message is for the report."""


def canonical(value: object) -> bytes:
    """Canonical JSON: sorted keys, no white space, UTF-8, no floats."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest(value: object) -> str:
    """`value`, if it is a lower-case SHA-256."""
    if isinstance(value, str) and DIGEST.fullmatch(value):
        return value
    raise ValueError(f"{value!r} is not a digest")


def number(value: object) -> int:
    """`value`, if it is a whole number that is not negative."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{value!r} is not a number")


def text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"{value!r} is not a text")


def texts(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(map(text, value))
    raise ValueError(f"{value!r} is not a list of texts")


def readable(name: str, document: Json) -> None:
    """Raises `Refused` when the format number is neither ours nor the one before."""
    if document["format"] not in (FORMAT, FORMAT - 1):
        raise Refused(f"{name} format {document['format']}: this agent reads {FORMAT}")


@dataclass(frozen=True)
class Layer:
    """One EROFS image, named by its dm-verity root; `size` is the data alone."""

    root: str
    size: int

    @classmethod
    def read(cls, value: Json) -> "Layer":
        size = number(value["size"])
        if size % BLOCK or not 0 < size <= MAX_LAYER:
            raise ValueError(f"layer size {size}")
        return cls(digest(value["root"]), size)


@dataclass(frozen=True)
class Check:
    """`http`: GET `target`, expect `status` and `contains`. `service`, `container`: it is running, and stays so."""

    name: str
    type: str
    target: str
    status: int = 200
    contains: str = ""
    timeout: int = 10

    def __post_init__(self) -> None:
        for words in (self.name, self.type, self.target, self.contains):
            text(words)
        for count in (self.status, self.timeout):
            number(count)


@dataclass(frozen=True)
class Release:
    """A release document. `slots` are its layers by place: the root is "", a container is its path. `loader` is what
    a signature of its systemd-boot covers (SHA-256), "" where it names none."""

    box: str
    sequence: int
    digest: str
    content: str
    slots: Mapping[str, tuple[Layer, ...]]
    probation: int
    checks: tuple[Check, ...]
    loader: str = ""

    @classmethod
    def parse(cls, data: bytes) -> "Release":
        """Raises `Refused` when it is not a release of a format that this agent reads."""
        try:
            document = json.loads(data)
            readable("release", document)
            content = document["content"]
            slots = {"": content["root"]} | {each["path"]: each["layers"] for each in content["containers"]}
            health = content["health"]
            release = cls(
                text(document["box"]),
                number(document["sequence"]),
                sha256(data),
                sha256(canonical(content)),
                {place: tuple(map(Layer.read, layers)) for place, layers in slots.items()},
                number(health["probation"]),
                tuple(Check(**each) for each in health["checks"]),
                digest(content["boot"]["loader"]) if "boot" in content else "",
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Refused(f"release.json is not a release: {type(error).__name__}: {error}") from error
        if len(release.layers()) > MAX_LAYERS:
            raise Refused(f"release.json names more than {MAX_LAYERS} layers")
        return release

    def layers(self) -> tuple[Layer, ...]:
        """Every layer once, the root's first."""
        return tuple(dict.fromkeys(layer for layers in self.slots.values() for layer in layers))

    def predecessor(self, layer: Layer, running: "Release") -> Layer | None:
        """The layer at the same place of the running release: the best base for a delta."""
        for place, layers in self.slots.items():
            if layer in layers:
                index, old = layers.index(layer), running.slots.get(place, ())
                if index < len(old) and old[index] != layer:
                    return old[index]
        return None


@dataclass(frozen=True)
class Target:
    """A TUF target: its path in the repository, digest and length, all vouched for by signatures."""

    path: str
    sha256: str
    length: int


@dataclass(frozen=True)
class Permission:
    """`apply` of the metadata: leave to restart into what is offered.

    `lease` is its number, each greater than the one before; it ends at `until` (Unix seconds), or is taken back
    (`stopped`: why). `windows`: minutes since Monday 00:00 and lengths, `moratoria`: first and last date, both by the
    clock of `zone` (as POSIX has TZ). `veto`: seconds that the box's own services may hold it off, altogether.
    """

    lease: int
    until: int
    stopped: str = ""
    windows: tuple[tuple[int, int], ...] = ()
    moratoria: tuple[tuple[str, str], ...] = ()
    zone: str = "UTC0"
    veto: int = 0

    @classmethod
    def read(cls, value: Json) -> "Permission":
        windows = tuple((number(begin), number(length)) for begin, length in value.get("windows", []))
        dates = tuple((text(first), text(last)) for first, last in value.get("moratoria", []))
        zone, until = text(value.get("zone", "UTC0")), number(value["until"])
        if len(windows) > MAX_WINDOWS or len(dates) > MAX_MORATORIA or not ZONE.fullmatch(zone) or until >= MAX_TIME:
            raise ValueError("apply: more than a box reads")
        return cls(number(value["lease"]), until, text(value.get("stopped", "")), windows, dates, zone,
                   number(value.get("veto", 0)))  # fmt: skip


@dataclass(frozen=True)
class Offer:
    """What the server asks this box to run, vouched for by TUF. `time` is the commit's, `expires` the metadata's.

    `held`, if not empty, says who or what keeps the box from taking it. `receipts` is the Ed25519 key (hex) by
    which the server signs that it got a report; empty: it does not, as it is older. `retry` are reasons to
    forgive what failed before, each counting once. `loader` is systemd-boot.
    """

    sequence: int
    content: str
    revision: str
    time: int
    release: Target
    uki: Target
    addon: Target
    expires: int
    held: str = ""
    receipts: str = ""
    retry: tuple[str, ...] = ()
    loader: Target | None = None
    wipe: str = ""
    """The key (hex) of the machine that is to be wiped; empty: none."""
    apply: Permission | None = None
    """None: an older controller, by which whoever is offered something goes at once."""
    next: "Offer | None" = None
    """What is to come, to be fetched before its turn; `spread`: within so many seconds, one box after the other."""
    spread: int = 0

    @classmethod
    def parse(cls, custom: Json, targets: Mapping[str, Target], expires: int) -> "Offer":
        """Raises `Refused` when `custom`, of the target release.json, is not of a format that this agent reads."""
        release, uki, addon = (targets[name] for name in ("release.json", "uki.efi", "addon.efi"))
        try:
            readable("metadata", custom)
            return cls(
                sequence=number(custom["sequence"]),
                content=digest(custom["content"]),
                revision=text(custom["revision"]),
                time=number(custom["time"]),
                release=release,
                uki=uki,
                addon=addon,
                expires=expires,
                held=text(custom.get("held", "")),
                receipts=digest(custom["receipts"]) if "receipts" in custom else "",
                retry=texts(custom.get("retry", []))[:MAX_RETRIES],
                loader=targets.get("loader.efi"),
                wipe=digest(custom["wipe"]) if "wipe" in custom else "",
                apply=Permission.read(custom["apply"]) if "apply" in custom else None,
                next=cls._next(custom["next"], release.path, expires) if "next" in custom else None,
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused(f"metadata: {release.path}: custom: {type(error).__name__}: {error}") from error

    @classmethod
    def _next(cls, value: Json, path: str, expires: int) -> "Offer":
        folder = path.rpartition("/")[0]
        release, uki, addon = (
            Target(f"{folder}/{name}", digest(value[member]["sha256"]), number(value[member]["size"]))
            for member, name in (("release", "release.json"), ("uki", "uki.efi"), ("addon", "addon.efi"))
        )
        of = number(value["sequence"]), digest(value["content"]), "", 0
        return cls(*of, release, uki, addon, expires, spread=number(value.get("spread", 0)))


@dataclass(frozen=True)
class Staged:
    """What was installed as a boot entry: enough to tell later whether it is still the same."""

    sequence: int
    release: str
    content: str
    uki: str
    addon: str
    alone: bool = False
    """It came from a bundle, to a box that has no line (offer/update.py)."""


@dataclass(frozen=True)
class Failure:
    """A release that the box went back from."""

    sequence: int
    release: str
    content: str
    uki: str
    verdict: Verdict
    reason: str
    time: int
    log: str = ""


@dataclass(frozen=True)
class Reset:
    """The watchdog reset the box: which release ran, when, and what the agent was doing, as far as it could say."""

    sequence: int
    time: int
    doing: str
    boot_id: str = ""
    seen: str = ""
    """The boot that found it."""

    @classmethod
    def parse(cls, data: bytes) -> "Reset":
        """What the agent wrote when a reset was near. Raises `Refused`."""
        try:
            document = json.loads(data)
            readable("near-reset.json", document)
            doing = f"{text(document['state'])}: {text(document['doing'])}"[:MAX_DOING]
            return cls(number(document["sequence"]), number(document["time"]), doing, text(document["boot_id"]))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Refused(f"near-reset.json: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Entry:
    """A boot entry. `left` is None when it is plain."""

    sequence: int
    left: int | None = None
    done: int = 0

    @classmethod
    def parse(cls, name: str) -> "Entry | None":
        match = ENTRY.fullmatch(name)
        if not match:
            return None
        sequence, left, done = match.groups()
        return cls(int(sequence), None if left is None else int(left), int(done or 0))

    @property
    def name(self) -> str:
        count = "" if self.left is None else f"+{self.left}" + (f"-{self.done}" if self.done else "")
        return f"toweros-{self.sequence}{count}.efi"

    @property
    def plain(self) -> bool:
        return self.left is None

    @property
    def bad(self) -> bool:
        return self.left == 0

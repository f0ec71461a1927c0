"""One small repository: what of it is published, and the files that are due.

In: files by name, what it shall offer, root, online keys, the time. Out: the new files, `timestamp.json` apart, as it
appears last. Rules:

- A version is the Unix time at which it was signed, or one more than the last: so it rises above all that any box has
  seen, also where the folder came from a backup, was lost, or belongs to a box that was removed and came again.
- A role is signed again when what it says changes, when root names other keys, when its version is below the floor that
  a restore raised, and when its expiry comes nearer than a margin, which each repository has for itself: what a commit
  signed in one minute falls due over a day.
- One that is to offer nothing any more says so once, and is not signed again after that.

    repository = read(folder.read, "boxes/demo-1")
    signing = renewed("boxes/demo-1", repository, {"demo-1/release.json": target}, by, now)
"""

import json
import zlib
from calendar import timegm
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import strptime
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from gitops.errors import SignError
from gitops.model import BlobRef, Target, sha256
from gitops.model.paths.repositories import MEMBER
from gitops.sign.tokens import held
from gitops.sign.tuf import LIFETIMES, expiry

DAY = 86400
SPREAD = {"targets": 20 * DAY, "snapshot": 5 * DAY, "timestamp": DAY}
"""Seconds over which what was signed at once is signed again."""
NAMES = ("timestamp", "snapshot", "targets")
WRITTEN = "%Y-%m-%dT%H:%M:%SZ"
Files = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Role:
    """What is published of a role: `expires` is Unix seconds."""

    version: int
    expires: int
    keyids: frozenset[str]
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Repository:
    """What is published of a repository, and what it offers."""

    timestamp: Role
    snapshot: Role
    targets: Role
    offered: Mapping[str, Target]

    def files(self, name: str) -> tuple[str, str]:
        """Those that the timestamp leads to."""
        return f"{name}/{self.snapshot.version}.snapshot.json", f"{name}/{self.targets.version}.targets.json"


@dataclass(frozen=True)
class By:
    """Who signs: root, the online keys, the lowest version that may be signed."""

    root: Root
    online: Mapping[str, CryptoSigner]
    floor: int = 0


@dataclass(frozen=True)
class Signing:
    """What is written first, what last, and the repository that this makes."""

    files: Files
    timestamp: tuple[str, bytes]
    repository: Repository


def read(published: Callable[[str], bytes | None], name: str) -> Repository | None:
    """A repository, as it is published; None: there is none. It is our own: signatures are not checked again.

    Raises:
        SignError: it is damaged, or a file of it is missing.
    """
    if (data := published(f"{name}/timestamp.json")) is None:
        return None
    try:
        timestamp, stamp = _role(data, "timestamp")
        snapshot, says = _follow(published, name, "snapshot", stamp["meta"]["snapshot.json"])
        targets, said = _follow(published, name, "targets", says["meta"]["targets.json"])
        return Repository(timestamp, snapshot, targets, {path: _target(row) for path, row in said["targets"].items()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        words = f"metadata/{name} is damaged: {type(error).__name__}: {error}"
        raise SignError(words, hint="restore STATE/repo/metadata") from error


def _follow(
    published: Callable[[str], bytes | None], name: str, role: str, meta: Mapping[str, Any]
) -> tuple[Role, dict[str, Any]]:
    file = f"{int(meta['version'])}.{role}.json"
    if (data := published(f"{name}/{file}")) is None:
        raise ValueError(f"{file} is missing")
    if sha256(data) != meta["hashes"]["sha256"]:
        raise ValueError(f"{file} is not what was signed")
    return _role(data, role)


def _role(data: bytes, kind: str) -> tuple[Role, dict[str, Any]]:
    document = json.loads(data)
    signed = document["signed"]
    if signed["_type"] != kind:
        raise ValueError(f"this is {signed['_type']} metadata")
    keyids = frozenset(str(row["keyid"]) for row in document["signatures"])
    expires = timegm(strptime(signed["expires"], WRITTEN))
    return Role(int(signed["version"]), expires, keyids, len(data), sha256(data)), signed


def _target(row: Mapping[str, Any]) -> Target:
    return Target(BlobRef(row["hashes"]["sha256"], row["length"]), dict(row.get("custom", {})))


def renewed(name: str, before: Repository | None, wanted: Mapping[str, Target], by: By, now: int) -> Signing | None:
    """What has to be written, dated `now` (Unix seconds), so that a repository offers `wanted`; None: nothing has."""
    if not wanted and (before is None or not before.offered):
        return None
    return _Run(name, before, by, now).signing(wanted)


class _Run:
    """One signing of one repository."""

    def __init__(self, name: str, before: Repository | None, by: By, now: int) -> None:
        self._name, self._before, self._by, self._now = name, before, by, now
        self._files: Files = []

    def signing(self, wanted: Mapping[str, Target]) -> Signing | None:
        before = self._before
        targets = before.targets if before else None
        if targets is None or not before or before.offered != wanted or self._old("targets", targets):
            files = {path: _file(path, wanted[path]) for path in sorted(wanted)}
            targets = self._sign("targets", targets, lambda version: Targets(version, targets=files))
        same = targets is (before and before.targets)
        snapshot = before.snapshot if before else None
        if snapshot is None or not same or self._old("snapshot", snapshot):
            leads = {"targets.json": _meta(targets)}
            snapshot = self._sign("snapshot", snapshot, lambda version: Snapshot(version, meta=leads))
        elif not self._old("timestamp", before.timestamp if before else snapshot):
            return None
        last, known = _meta(snapshot), before.timestamp if before else None
        timestamp = self._sign("timestamp", known, lambda version: self._stamp(version, last))
        stamp = self._files.pop()
        return Signing(self._files, stamp, Repository(timestamp, snapshot, targets, dict(wanted)))

    def _stamp(self, version: int, snapshot: MetaFile) -> Timestamp:
        return Timestamp(version, snapshot_meta=snapshot, unrecognized_fields={MEMBER: self._name})

    def _old(self, kind: str, role: Role) -> bool:
        margin = LIFETIMES[kind].margin * DAY - self._spread(kind)
        known = self._by.root.roles[kind].keyids
        return role.version < self._by.floor or role.expires - self._now < margin or role.keyids.isdisjoint(known)

    def _spread(self, kind: str) -> int:
        return zlib.crc32(self._name.encode()) * SPREAD[kind] >> 32

    def _sign(self, kind: str, before: Role | None, make: Callable[[int], Signed]) -> Role:
        version = max(before.version + 1 if before else 1, self._now, self._by.floor)
        signed = make(version)
        signed.expires = expiry(kind, datetime.fromtimestamp(self._now, UTC))
        document = Metadata(signed)  # type: ignore[type-var]
        held.sign(document, self._by.online[kind])
        data = document.to_bytes(JSONSerializer(compact=True))
        file = "timestamp.json" if kind == "timestamp" else f"{version}.{kind}.json"
        self._files.append((f"{self._name}/{file}", data))
        keyids = frozenset(document.signatures)
        return Role(version, int(signed.expires.timestamp()), keyids, len(data), sha256(data))


def _meta(role: Role) -> MetaFile:
    return MetaFile(role.version, role.size, {"sha256": role.sha256})


def _file(path: str, target: Target) -> TargetFile:
    custom = {"custom": dict(target.custom)} if target.custom else {}
    return TargetFile(target.ref.size, {"sha256": target.ref.sha256}, path, custom)

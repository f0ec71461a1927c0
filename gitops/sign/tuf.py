"""The TUF repository (specification 1.0, TAP 15): what boxes may take -> the metadata files to write.

In: what is published now (`read` by file name), the targets wanted, the keys, the time. Out: (name, bytes) in the order
in which they must appear: roots, bins, targets, snapshot, `timestamp.json` last. Rules:

- It reads only through `read` and writes nothing: the same question gives the same list. Nothing due, nothing to write.
- Version numbers rise from what `timestamp.json` reaches, so files that a killed run left behind do not count and
  are overwritten: no client was ever pointed at them.
- After a restore the versions of all roles rise above a floor, as soon as anything is signed.
- A role is signed again when what it says changes, when its expiry comes nearer than its margin, or when root names
  other keys. Only bins that changed get a new file.

    files = update(folder.read, {"demo-1/release.json": Target(ref, custom)}, authority, now, Bins())
"""

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeVar

from securesystemslib.exceptions import StorageError
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from gitops.errors import SignError
from gitops.model import Target, sha256
from gitops.sign.shared.bins import Bin, Bins, Published
from gitops.sign.tokens import held

ONLINE = ("targets", "snapshot", "timestamp")
BITS = 4
"""Hash bins: 2 to this power. A box reads one bin, so 16 bins serve some thousands of boxes."""
PREFIX = "bin"


@dataclass(frozen=True)
class Lifetime:
    """Days that a signature holds, and days before its end when it is made again."""

    days: int
    margin: int


LIFETIMES = {
    "root": Lifetime(730, 60),
    "targets": Lifetime(90, 60),
    "snapshot": Lifetime(30, 20),
    "timestamp": Lifetime(7, 6),
}
"""The timestamp is made again each day and holds for a week: a controller may be off for a long weekend. The bins live
as long as targets. Root's margin is for people: it is when `toweros keys status` begins to warn."""

AnySigned = TypeVar("AnySigned", Root, Targets, Snapshot, Timestamp)


@dataclass(frozen=True)
class Authority:
    """Root metadata by version (signed offline), and the online keys by role."""

    roots: Mapping[int, bytes]
    online: Mapping[str, CryptoSigner]
    floor: int = 0
    """The lowest version of what is signed: clients may have seen all below it. `at_once`: even when nothing is due."""
    at_once: bool = False

    def root(self) -> Root:
        return Metadata[Root].from_bytes(self.roots[max(self.roots)]).signed


def make_root(
    keys: Mapping[str, list[CryptoSigner]], threshold: int, now: datetime, previous: Root | None = None
) -> Metadata[Root]:
    """Root metadata that names `keys` per role, signed by the root keys (the caller adds the old ones' signatures)."""
    version = previous.version + 1 if previous else 1
    root = Root(version=version, expires=expiry("root", now), consistent_snapshot=True)
    for role, signers in keys.items():
        for signer in signers:
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = threshold if role == "root" else 1
    document = Metadata(root)
    for signer in keys["root"]:
        document.sign(signer, append=True)
    return document


def update(
    published: Published,
    targets: Mapping[str, Target],
    authority: Authority,
    now: int,
    bins: Bins,
    clock: int | None = None,
) -> list[tuple[str, bytes]]:
    """The files to write so that clients see `targets`, dated `now`. `clock`: the time that it is, if that is another:
    by it root expires, else a clock that was ahead once would end the passes of years, whatever root came since.

    Raises:
        SignError: root has expired, or an online key is not the one that root names.
    """
    roots(published, authority, now if clock is None else clock)
    floor = authority.floor if authority.at_once else 0
    files = _Run(published, authority, now, floor).update(targets, bins)
    if files and floor != authority.floor:
        # Some versions above the floor and others below would be a mix: clients that saw more refuse it.
        files = _Run(published, authority, now, authority.floor).update(targets, bins)
    return files


def roots(published: Published, authority: Authority, clock: int) -> list[tuple[str, bytes]]:
    """Every root that is not published yet.

    Raises:
        SignError: root has expired at `clock`, or an online key is not the one that root names.
    """
    _check_keys(authority.root(), authority, datetime.fromtimestamp(clock, UTC))
    return _unpublished(published, authority)


def _unpublished(published: Published, authority: Authority) -> list[tuple[str, bytes]]:
    wanted = {f"{version}.root.json": data for version, data in sorted(authority.roots.items())}
    return [(name, data) for name, data in wanted.items() if published(name) != data]


def read_targets(published: Published, bins: Bins) -> dict[str, Target]:
    """What the published metadata offers now. It is our own: the signatures are not checked again.

    Raises:
        SignError: it cannot be read.
    """
    found: dict[str, Target] = {}
    try:
        timestamp = _parse(published("timestamp.json"), Timestamp)
        snapshot = _parse(published(_name("snapshot", timestamp)), Snapshot)
        for name, meta in snapshot.signed.meta.items() if snapshot else ():
            bin_ = bins.read(published, name.removesuffix(".json"), meta.version)
            found |= bin_.targets if bin_ else {}
    except (RepositoryError, StorageError) as error:
        raise SignError(f"the published metadata is damaged: {error}", hint="restore STATE/repo/metadata") from error
    return found


def signed(published: Published) -> int:
    """When the published timestamp was signed (Unix seconds); 0: there is none, or it is damaged."""
    try:
        timestamp = _parse(published("timestamp.json"), Timestamp)
    except RepositoryError:
        return 0
    days = timedelta(days=LIFETIMES["timestamp"].days)
    return int((timestamp.signed.expires - days).timestamp()) if timestamp else 0


@lru_cache(maxsize=1 << 17)
def bin_of(path: str) -> str:
    """The hash bin of a target (TUF specification, succinct roles); remembered: every pass asks for all of them."""
    return SuccinctRoles([], 1, BITS, PREFIX).get_role_for_target(path)


class _Run:
    """One update: collects files in their order."""

    def __init__(self, published: Published, authority: Authority, now: int, floor: int) -> None:
        self._published, self._authority, self._floor = published, authority, floor
        self._root, self._time = (root := authority.root()), datetime.fromtimestamp(now, UTC)
        self._succinct = SuccinctRoles(list(root.roles["targets"].keyids), 1, BITS, PREFIX)
        self.files = _unpublished(published, authority)

    def update(self, targets: Mapping[str, Target], bins: Bins) -> list[tuple[str, bytes]]:
        timestamp = self.current("timestamp", "timestamp.json", Timestamp)
        snapshot = self.current("snapshot", _name("snapshot", timestamp), Snapshot)
        meta = dict(snapshot.signed.meta) if snapshot else {}
        self.bins(meta, targets, bins)
        self.delegations(meta)
        version = self.snapshot(snapshot, meta)
        self.timestamp(timestamp, version)
        return self.files

    def current(self, role: str, name: str, kind: type[AnySigned]) -> Metadata[AnySigned] | None:
        """The published document of a role, or None when there is none that can be read."""
        try:
            return _parse(self._published(name), kind)
        except RepositoryError as error:
            raise _damaged(name, error) from error

    def bins(self, meta: dict[str, MetaFile], targets: Mapping[str, Target], bins: Bins) -> None:
        shares: dict[str, dict[str, Target]] = {role: {} for role in self._succinct.get_roles()}
        for path, target in targets.items():
            shares[bin_of(path)][path] = target
        for role, share in shares.items():
            known = meta.get(f"{role}.json")
            before = self._published_bin(role, known, bins)
            low = known is None or known.version < self._floor
            if before is None or low or before.targets != share or self._due("targets", before.expires, before.keyids):
                self._targets(role, meta, Targets(targets={path: _file(path, share[path]) for path in sorted(share)}))

    def _published_bin(self, role: str, known: MetaFile | None, bins: Bins) -> Bin | None:
        try:
            return bins.read(self._published, role, known.version) if known else None
        except RepositoryError as error:
            raise _damaged(f"{role}.json", error) from error

    def delegations(self, meta: dict[str, MetaFile]) -> None:
        keys = {key: self._root.keys[key] for key in self._succinct.keyids}
        wanted = Targets(delegations=Delegations(keys, succinct_roles=self._succinct))
        known = meta.get("targets.json")
        before = self.current("targets", f"{known.version}.targets.json", Targets) if known else None
        if before and not self._old("targets", before):
            same = Targets(before.signed.version, None, before.signed.expires, {}, wanted.delegations)
            if before.signed == same:
                return
        self._targets("targets", meta, wanted)

    def _targets(self, role: str, meta: dict[str, MetaFile], wanted: Targets) -> None:
        known = meta.get(f"{role}.json")
        wanted.version = self._next(known)
        meta[f"{role}.json"] = self._sign("targets", wanted, f"{wanted.version}.{role}.json")

    def snapshot(self, before: Metadata[Snapshot] | None, meta: dict[str, MetaFile]) -> MetaFile:
        if before and before.signed.meta == meta and not self._old("snapshot", before):
            return MetaFile(before.signed.version, *_length_and_hash(self._published(_name("snapshot", None, before))))
        version = self._next(before.signed if before else None)
        return self._sign("snapshot", Snapshot(version=version, meta=meta), f"{version}.snapshot.json")

    def timestamp(self, before: Metadata[Timestamp] | None, snapshot: MetaFile) -> None:
        if before and before.signed.snapshot_meta == snapshot and not self._old("timestamp", before):
            return
        version = self._next(before.signed if before else None)
        self._sign("timestamp", Timestamp(version=version, snapshot_meta=snapshot), "timestamp.json")

    def _old(self, role: str, document: Metadata[AnySigned]) -> bool:
        low = document.signed.version < self._floor
        return low or self._due(role, document.signed.expires, document.signatures.keys())

    def _next(self, before: MetaFile | Signed | None) -> int:
        return max(before.version + 1 if before else 1, self._floor)

    def _due(self, role: str, expires: datetime, keyids: Collection[str]) -> bool:
        near = expires - self._time < timedelta(days=LIFETIMES[role].margin)
        return near or not {*keyids} & set(self._root.roles[role].keyids)

    def _sign(self, role: str, signed: Signed, name: str) -> MetaFile:
        signed.expires = expiry(role, self._time)
        document = Metadata(signed)  # type: ignore[type-var]
        held.sign(document, self._authority.online[role])
        data = document.to_bytes(JSONSerializer(compact=True))
        self.files.append((name, data))
        return MetaFile(signed.version, *_length_and_hash(data))


def _file(path: str, target: Target) -> TargetFile:
    custom = {"custom": target.custom} if target.custom else {}
    return TargetFile(target.ref.size, {"sha256": target.ref.sha256}, path, deepcopy(custom))


def _damaged(name: str, error: RepositoryError) -> SignError:
    return SignError(f"{name} is damaged: {error}", hint="restore STATE/repo/metadata")


def _check_keys(root: Root, authority: Authority, time: datetime) -> None:
    if root.is_expired(time):
        raise SignError("the TUF root has expired: no box can take anything", hint="run `toweros keys renew`")
    for role in ONLINE:
        if authority.online[role].public_key.keyid not in root.roles[role].keyids:
            raise SignError(f"{role}.pem is not the key that root.json names", hint="restore the backup of the keys")


def _parse(data: bytes | None, kind: type[AnySigned]) -> Metadata[AnySigned] | None:
    if data is None:
        return None
    document: Metadata[AnySigned] = Metadata.from_bytes(data)
    if not isinstance(document.signed, kind):
        raise RepositoryError(f"this is {document.signed.type} metadata")
    return document


def _name(role: str, timestamp: Metadata[Timestamp] | None, own: Metadata[Snapshot] | None = None) -> str:
    version = own.signed.version if own else timestamp.signed.snapshot_meta.version if timestamp else 0
    return f"{version}.{role}.json"


def _length_and_hash(data: bytes | None) -> tuple[int, dict[str, str]]:
    return len(data or b""), {"sha256": sha256(data or b"")}


def expiry(role: str, time: datetime) -> datetime:
    """Until when what is signed at `time` holds."""
    return (time + timedelta(days=LIFETIMES[role].days)).replace(microsecond=0)

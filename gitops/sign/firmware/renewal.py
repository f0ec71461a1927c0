"""The keys folder gets a new KEK or db; boxes follow by `firmware.json`, and the old one is dropped later.

In: the folder, which of the two, the time. Out: a new pair under its usual name, the one before as NAME.old, and
`firmware.json` (contracts/firmware), which belongs into the fleet repo: signed updates in the order in which a box
hands them to its firmware: all that add, then all that replace. Rules: PK signs those of KEK, KEK those of db, and the
KEK before what it signed once, for boxes whose firmware takes no other; what was ever the newest is written there, so
that nothing hangs on files that people move; nothing is made when it cannot be signed;
programs are signed by every db key in the folder, so that a box starts them whichever it knows; an
old pair stays until somebody removes it; whoever was stopped goes on by the same verb.

    rotate(folder, "db", now)       # the new certificate is added
    retire(folder, "db", now)       # and the one before dropped, by boxes that can do without
"""

import base64
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from gitops.errors import SignError
from gitops.model import Json, canonical, sha256
from gitops.sign import certificates, keys
from gitops.sign.firmware import variables
from gitops.sign.firmware.variables import Signing
from gitops.sign.tokens.held import HeldRsa

SIGNERS = {"KEK": "PK", "db": "KEK"}
FORMAT = 1
Pair = tuple[Path, Path]
"""A private key and its certificate."""


@dataclass(frozen=True)
class Row:
    """A signed update. `lists`: fingerprints that are in the variable after it; `drops`: those that are not, which
    makes it one that replaces. `before`: what was ever the newest before, oldest first."""

    variable: str
    lists: tuple[str, ...]
    drops: tuple[str, ...]
    time: int
    data: bytes
    before: tuple[str, ...] = ()

    def as_json(self) -> Json:
        data = base64.b64encode(self.data).decode()
        lists, drops = list(self.lists), list(self.drops)
        said: Json = {"variable": self.variable, "lists": lists, "drops": drops, "time": self.time, "data": data}
        return said | ({"before": [*self.before]} if self.before else {})

    @classmethod
    def read(cls, value: Json) -> "Row":
        lists, drops = tuple(value["lists"]), tuple(value["drops"])
        data, before = base64.b64decode(value["data"]), tuple(value.get("before", ()))
        return cls(value["variable"], lists, drops, value["time"], data, before)


def encode(rows: Iterable[Row]) -> bytes:
    """The document, as boxes read it."""
    return canonical({"format": FORMAT, "updates": [row.as_json() for row in rows]})


def rotate(folder: Path, name: str, now: datetime, held: HeldRsa | None = None) -> None:
    """A new KEK or db, which may lie in a token; the one before goes beside.

    Raises:
        SignError: the key that has to sign this is not here, or the rotation before has not come to its end.
    """
    new_key, new = (folder / f"{name}.new.{suffix}" for suffix in ("key", "crt"))
    if not new.exists():
        if stay := olds(folder, name):
            first = "" if retired(folder, name) else f"`toweros keys retire {name}`; "
            first += "when every box has followed (`toweros keys status`), keep"
            hint = f"{first} {stay[-1]} and its key in the backup alone; then rotate again"
            raise SignError(f"boxes may still trust the {name} before this one", hint=hint)
        _signing(folder, name)
        if name == "db":
            _read(folder / "db.key")
        key, certificate = certificates.make(name, now, held)
        keys.write(new_key, key)
        keys.write(new, certificate, mode=0o644)
    _exchange(folder, name)
    _write(folder, name, int(now.timestamp()), drop=False)
    for path in (new, new_key):  # the key last: what is left of a rotation is seen by its certificate
        path.unlink(missing_ok=True)


def retire(folder: Path, name: str, now: datetime) -> None:
    """Ask boxes to drop what came before.

    Raises:
        SignError: there is none, or the key that has to sign this is not here.
    """
    if not moving(folder, name):
        raise SignError(f"there is no {name} before this one", hint=f"`toweros keys rotate {name}` makes a new one")
    _write(folder, name, int(now.timestamp()), drop=True)


def olds(folder: Path, name: str) -> list[Path]:
    """The certificates that came before, oldest first."""
    return sorted(folder.glob(f"{name}.old*.crt"), key=lambda path: (path.name == f"{name}.old.crt", path.name))


def pairs(folder: Path) -> list[Pair]:
    """By what programs are signed, oldest first; newest first once the old are to be dropped.

    Raises:
        SignError: a rotation was stopped midway, so that key and certificate may not belong together.
    """
    if (folder / "db.new.crt").exists():
        raise SignError("a rotation of db was stopped midway", hint="`toweros keys rotate db` goes on with it")
    before = [(path.with_suffix(".key"), path) for path in olds(folder, "db")]
    every = [*(pair for pair in before if pair[0].is_file()), (folder / "db.key", folder / "db.crt")]
    return every[::-1] if retired(folder, "db") else every


def moving(folder: Path, name: str) -> bool:
    """Whether boxes may be on their way from one certificate to another."""
    return bool(olds(folder, name)) or (bool(_before(folder, name)) and not retired(folder, name))


def retired(folder: Path, name: str) -> bool:
    """Whether boxes were asked to drop what came before the newest."""
    newest = _fingerprint(_load(folder / f"{name}.crt"))
    return any(row.variable == name and row.drops and newest in row.lists for row in _rows(folder))


def wanted(folder: Path, name: str) -> list[str]:
    """What the firmware is to list in the end, as things are: fingerprints."""
    every = _every(folder, name)
    return every[-1:] if retired(folder, name) else every


def on_the_way(folder: Path, name: str) -> list[list[str]]:
    """What a box may list that has not followed yet: any of our own certificates."""
    every = _every(folder, name)
    return [[*some] for count in range(1, len(every) + 1) for some in combinations(every, count)]


def _every(folder: Path, name: str) -> list[str]:
    """Our certificates that boxes may list, the newest last: those here, and the one before until it is retired."""
    last = [] if retired(folder, name) else _before(folder, name)[-1:]
    here = [_fingerprint(_load(path)) for path in (*olds(folder, name), folder / f"{name}.crt")]
    return [*dict.fromkeys((*last, *here))]


def _before(folder: Path, name: str) -> tuple[str, ...]:
    return next((row.before for row in _rows(folder) if row.variable == name and row.before), ())


def _exchange(folder: Path, name: str) -> None:
    """The new pair under the usual name; each step asks what is there, as a run before may have been stopped."""
    for suffix, mode in (("key", 0o600), ("crt", 0o644)):
        place, new = folder / f"{name}.{suffix}", _read(folder / f"{name}.new.{suffix}")
        if place.is_file() and place.read_bytes() != new:  # KEK's private key may be in its offline place
            keys.write(folder / f"{name}.old.{suffix}", place.read_bytes(), mode=mode)
        keys.write(place, new, mode=mode)


def _write(folder: Path, name: str, now: int, *, drop: bool) -> None:
    """The document with the updates of `name` as they are to be now, and those of the others as they were."""
    rows = _rows(folder)
    changed = (
        {"db", name} if name == "KEK" else {name}
    )  # the old KEK's signature is nothing to a box that has dropped it
    made: list[Row] = []
    for variable in SIGNERS:
        known = [row for row in rows if row.variable == variable]
        if variable not in changed or not (known or variable == name):
            made += known
        else:
            made += _made(folder, variable, now, known, drop=drop if variable == name else retired(folder, variable))
    keys.write(folder / keys.FIRMWARE, encode(sorted(made, key=lambda row: bool(row.drops))), mode=0o644)


def _made(folder: Path, name: str, now: int, known: Sequence[Row], *, drop: bool) -> list[Row]:
    """The update that adds, and with `drop` the one that replaces. That one must be the later of them, in any case."""
    signing, owner = _signing(folder, name), uuid.UUID(keys.guid(folder))
    certificate = _load(folder / f"{name}.crt")
    content = variables.signature_list([certificate], owner)
    lists = (_fingerprint(certificate),)
    ever = [each for row in known for each in (*row.before, *row.drops)] + [each for row in known for each in row.lists]
    here = [_fingerprint(_load(path)) for path in olds(folder, name)]
    before = tuple(each for each in dict.fromkeys((*ever, *here)) if each not in lists)
    begin = max([now, *(row.time + 1 for row in known)])
    rows = [Row(name, lists, (), begin, variables.update(name, content, signing, begin, append=True), before)]
    rows += [row for row in known if not row.drops and row.lists == lists and _by_one_before(folder, row)]
    if drop:
        whole = variables.update(name, content, signing, begin + 1, append=False)
        rows.append(Row(name, lists, before, begin + 1, whole))
    return rows


def _by_one_before(folder: Path, row: Row) -> bool:
    """Whether a KEK before the newest signed it (its certificate is in what it signs), as long as that one is here."""
    return row.variable == "db" and any(_der(path) in row.data for path in olds(folder, "KEK"))


def _rows(folder: Path) -> list[Row]:
    path = folder / keys.FIRMWARE
    try:
        document: Any = json.loads(path.read_bytes()) if path.is_file() else {"updates": []}
        return [Row.read(each) for each in document["updates"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SignError(f"{path} is damaged", hint="restore it from the backup, or from the fleet repo") from error


def _signing(folder: Path, name: str) -> Signing:
    """Raises `SignError`: most of the time, PK and KEK are offline."""
    signer = SIGNERS[name]
    path = folder / f"{signer}.key"
    if not path.is_file():
        hint = f"bring {path.name} from its offline place for the moment"
        raise SignError(f"{signer} has to sign the change of {name}, and its private key is not here", hint=hint)
    key = keys.private(path)
    if not isinstance(key, RSAPrivateKey) or key.public_key() != _load(folder / f"{signer}.crt").public_key():
        raise SignError(f"{path} is not the key of {signer}.crt", hint="restore the backup of the keys")
    return Signing(key, _load(folder / f"{signer}.crt"))


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(_read(path))


def _der(path: Path) -> bytes:
    return _load(path).public_bytes(Encoding.DER)


def _fingerprint(certificate: x509.Certificate) -> str:
    return sha256(certificate.public_bytes(Encoding.DER))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SignError(f"{path}: {error.strerror}", hint="restore the backup of the keys") from error

"""The keys folder: made once, never overwritten, never in Git (docs/formats.md, "Keys folder").

In: a folder, a passphrase for the root keys. Out: key files (0600), certificates, root metadata; the public halves for
the fleet repo. Rules: everything is made in a folder beside and renamed at the end, so there is a whole set or none; no
function prints or returns a secret; root keys are needed only to make a new root, so `root/` belongs offline.

    init(folder, passphrase, root_keys=2, threshold=1, public=Path("fleet/keys"))
"""

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from gitops.errors import SignError
from gitops.model import Builders, Json
from gitops.sign import certificates, tuf
from gitops.sign.roots.reading import read
from gitops.sign.tokens import reference
from gitops.sign.tokens.held import HeldEd25519, HeldP256

WARN = 60
"""Days before an expiry when `toweros keys status` begins to warn."""
AGAIN = "put it back from the backup of the keys; it is public, and `metadata/` of the state folder has the same file"
SECURITY = "security"
"""The key of the controller's own commits (`gitops.sign.commits`)."""
SSH_CA = "ssh-ca"
"""What vouches for the SSH host keys of boxes (`gitops.sign.ssh`)."""
SSH_KEYS = {
    SECURITY: "no: remove it, and list the new one in keys/allowed_signers",
    SSH_CA: "yes: else people need another line in known_hosts (`toweros keys ssh-ca`)",
    "ssh-user-ca": "no: remove it, and put the new one's line (`toweros keys ssh-user-ca`) into keys/ssh_user_ca.pub",
    "record": "no: rotate it when lost, and put its line (`toweros keys record`) into record.old.pub",
}
"""Those that are made when they are first needed, and what to do when one is lost."""
PUBLIC = ("root.json", *(f"{name}.crt" for name in certificates.NAMES))
"""What the fleet repo's keys/ holds, with `BUILDER` where there is a builder's key."""
BUILDER = "builder.json"
FIRMWARE = "firmware.json"
"""Signed updates for the firmware of boxes, once KEK or db was rotated (`gitops.sign.firmware`)."""
BUILDER_BACKUP = "yes: without it no box takes a new release; `toweros keys rotate builder` makes the first"


class KeyState(StrEnum):
    """Whether a key needs a hand."""

    OK = "ok"
    WARN = "warn"
    EXPIRED = "expired"
    MISSING = "missing"
    OFFLINE = "offline"
    BEHIND = "behind"


@dataclass(frozen=True)
class KeyStatus:
    """One key or document. `expires` is Unix seconds, 0: never."""

    name: str
    kind: str
    place: str
    expires: int
    state: KeyState
    backup: str

    def as_json(self) -> Json:
        return dict(self.__dict__)


def init(
    folder: Path, passphrase: bytes, *, root_keys: int = 1, threshold: int = 1, public: Path | None = None
) -> None:
    """Make a whole set of keys.

    Raises:
        SignError: the folder has keys already, the passphrase is empty, or the threshold cannot be met.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SignError(f"{folder} is not empty: keys are never overwritten", hint="choose a new folder")
    if not passphrase:
        raise SignError("the root keys need a passphrase", hint="pass --passphrase-file")
    if not 1 <= threshold <= root_keys:
        raise SignError(f"a threshold of {threshold} cannot be met by {root_keys} root keys")
    new = folder.parent / f".{folder.name}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True, mode=0o700)
    _fill(new, passphrase, root_keys, threshold)
    if folder.exists():
        folder.rmdir()
    new.rename(folder)
    if public:
        export(folder, public)


def export(folder: Path, public: Path) -> None:
    """Copy the public halves to the fleet repo's keys/."""
    public.mkdir(parents=True, exist_ok=True)
    for name, data in public_halves(folder).items():
        (public / name).write_bytes(data)


def load_online(folder: Path) -> dict[str, CryptoSigner]:
    """The keys of targets, snapshot and timestamp.

    Raises:
        SignError: one is missing, is no Ed25519 key, or is readable by others.
    """
    numbers = [int(path.name.split(".")[0]) for path in folder.glob("[0-9]*.root.json")]
    root = Metadata[Root].from_bytes(load_roots(folder)[max(numbers)]).signed if numbers else None
    return {role: _online(folder, role, root) for role in tuf.ONLINE}


def beside(folder: Path, role: str) -> list[Path]:
    """New keys of an online role that have not taken its place."""
    return sorted(folder.glob(f"{role}*.pem.new"))


def _online(folder: Path, role: str, root: Root | None) -> CryptoSigner:
    """A rotation that was stopped left the key that the root names beside its place: nobody has to come for that."""
    usual = folder / f"{role}.pem"
    for path in beside(folder, role) if root else []:
        signer = _signer(path, None)
        if root and signer.public_key.keyid in root.roles[role].keyids:
            return signer
    return _signer(usual, None)


def stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a root or an online key does."""
    paths = sorted([*folder.glob("*.root.json"), *(folder / f"{role}.pem" for role in tuf.ONLINE)])
    states = [(path.name, path.stat()) for path in paths if path.exists()]
    return tuple((name, state.st_ino, state.st_mtime_ns) for name, state in states)


def load_builders(folder: Path) -> list[CryptoSigner]:
    """The builder's key, and after a rotation the one before it; none when an older version made the folder.

    Raises:
        SignError: see `load_online`.
    """
    places = [folder / name for name in ("builder.pem", "builder.old.pem")]
    return [CryptoSigner(ed25519(path)) for path in places if path.exists()]


def builders(folder: Path, signers: Sequence[CryptoSigner]) -> Builders | None:
    """Whom boxes are to believe from now on."""
    return Builders(guid(folder), tuple(each.public_key.keyval["public"] for each in signers[:1])) if signers else None


def rotate_builder(folder: Path, key: Ed25519PrivateKey | None = None) -> None:
    """A new builder's key (the first, where there is none), which may lie in a token. The one before signs along, for
    boxes that know no other.

    A run that is stopped midway is made good by running it again.

    Raises:
        SignError: the key before this one still signs along, for boxes that would believe nothing without it.
    """
    now = builders(folder, load_builders(folder))
    named = (folder / BUILDER).read_bytes() if (folder / BUILDER).exists() else b""
    if now and named == now.encode():
        _keep_builder(folder, folder / "builder.old.pem")
    if now is None or named == now.encode():
        write(folder / "builder.pem", pem(key or Ed25519PrivateKey.generate(), NoEncryption()))
    _name_builder(folder)


def _keep_builder(folder: Path, old: Path) -> None:
    """The key that boxes know now; a run that was stopped has kept it already."""
    key = _read(folder / "builder.pem")
    if old.exists() and old.read_bytes() != key:
        # After one, a box may still go back to the release before, which believes the old key alone.
        hint = (
            f"remove {old} once every box has taken two releases with the new keys/{BUILDER}, "
            "and keep it in the backup; then rotate again"
        )
        raise SignError(f"{old} still signs for boxes that know no other key", hint=hint)
    write(old, key)


def _name_builder(folder: Path) -> None:
    made = builders(folder, load_builders(folder))
    assert made
    write(folder / BUILDER, made.encode(), mode=0o644)


def load_roots(folder: Path) -> dict[int, bytes]:
    """Every root metadata, by version.

    Raises:
        SignError: there is none, or one is damaged.
    """
    found = {}
    for path in folder.glob("[0-9]*.root.json"):
        root = read(data := path.read_bytes())
        if root is None or path.name != f"{root.version}.root.json":
            raise SignError(f"{path} is damaged, or another one", hint=AGAIN)
        found[root.version] = data
    if not found:
        raise SignError(f"there is no root metadata in {folder}", hint="run `toweros keys init`, or restore the backup")
    return found


def load_key(path: Path) -> CryptoSigner:
    """An online key, wherever it lies. Raises as `load_online` does."""
    return _signer(path, None)


def load_root_keys(places: Sequence[Path], passphrase: bytes) -> list[CryptoSigner]:
    """Root keys, unlocked."""
    return [_signer(path, passphrase) for path in places]


def status(folder: Path, now: datetime) -> list[KeyStatus]:
    """Every key and document: where it is, when it ends, what to back up."""
    roots = load_roots(folder)
    root = Metadata[Root].from_bytes(roots[max(roots)]).signed
    rows = [_row(f"root.json v{root.version}", "TUF root", folder / "root.json", root.expires, now, "yes: public")]
    places = sorted((folder / "root").glob("root-*.pem"))
    for path in places or [folder / "root"]:
        kept = "yes: offline, twice; then remove it here" if places else "must be in your offline place"
        state = KeyState.OK if places else KeyState.OFFLINE
        rows.append(KeyStatus(path.stem, "Ed25519, encrypted", str(path), 0, state, kept))
    for role in tuf.ONLINE:
        rows.append(_row(role, "Ed25519, online", folder / f"{role}.pem", None, now, "no: rotate it when lost"))
    rows.append(_row("builder", "Ed25519, online", folder / "builder.pem", None, now, BUILDER_BACKUP))
    there = [name for name in SSH_KEYS if (folder / name).is_file()]
    rows += [_row(name, "Ed25519, SSH", folder / name, None, now, SSH_KEYS[name]) for name in there]
    for name in (*certificates.NAMES, *(path.stem for path in sorted(folder.glob("*.old*.crt")))):
        rows += _certificate_rows(folder, name, now)
    return [_in_token(row) for row in rows]


def warnings(rows: Sequence[KeyStatus]) -> list[str]:
    """One sentence for each row that needs a hand."""
    words = {KeyState.WARN: "ends soon", KeyState.EXPIRED: "has ended", KeyState.MISSING: "is missing"}
    ended = [f"{row.name} {words[row.state]}" for row in rows if row.state in words]
    return [*ended, *(row.backup for row in rows if row.state == KeyState.BEHIND)]


def guid(folder: Path) -> str:
    """The owner GUID of the Secure Boot keys, which is also the fleet's name: no rotation changes it."""
    return _read(folder / "GUID").decode().strip()


def _fill(folder: Path, passphrase: bytes, root_keys: int, threshold: int) -> None:
    now = datetime.now(UTC)
    (folder / "root").mkdir(mode=0o700)
    (folder / "box").mkdir(mode=0o700)
    lock = BestAvailableEncryption(passphrase)
    places = [(f"root/root-{number}.pem", lock) for number in range(1, root_keys + 1)]
    roots = [_make_key(folder / name, encryption) for name, encryption in places]
    online = {role: [_make_key(folder / f"{role}.pem", NoEncryption())] for role in tuf.ONLINE}
    root = tuf.make_root({"root": roots, **online}, threshold, now).to_bytes()
    for name in ("1.root.json", "root.json"):
        write(folder / name, root, mode=0o644)
    for name in certificates.NAMES:
        key, certificate = certificates.make(name, now)
        write(folder / f"{name}.key", key)
        write(folder / f"{name}.crt", certificate, mode=0o644)
    write(folder / "GUID", str(uuid.uuid4()).encode() + b"\n", mode=0o644)
    _make_key(folder / "builder.pem", NoEncryption())
    _name_builder(folder)


def _make_key(path: Path, encryption: KeySerializationEncryption) -> CryptoSigner:
    key = Ed25519PrivateKey.generate()
    write(path, pem(key, encryption))
    return CryptoSigner(key)


def pem(key: Ed25519PrivateKey | HeldP256, encryption: KeySerializationEncryption) -> bytes:
    """A private key as it is kept: itself, or where it is."""
    if isinstance(key, HeldEd25519 | HeldP256):
        return key.text
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Whole or not at all, and never readable by others on the way."""
    new = path.with_name(f".{path.name}.part")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SignError(f"{path}: {error.strerror}", hint="run `toweros keys init`, or restore the backup") from error


def private(path: Path, passphrase: bytes | None = None) -> PrivateKeyTypes:
    """The private key of a file, be it there or in a token.

    Raises:
        SignError: it is missing, is none, or is readable by others.
    """
    data = _read(path)
    if path.stat().st_mode & 0o077:
        raise SignError(f"{path} is open to others", hint=f"chmod 600 {path}")
    if reference.is_reference(data):
        return reference.read(path, data)
    try:
        return load_pem_private_key(data, passphrase)
    except (ValueError, TypeError) as error:
        raise SignError(f"{path} cannot be unlocked", hint="is it the right passphrase?") from error


def ed25519(path: Path) -> Ed25519PrivateKey:
    """The same, of the one kind that boxes and SSH take."""
    key = private(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise SignError(f"{path} is not an Ed25519 key")
    return key


def held(path: Path) -> bool:
    """Whether a key file names a key in a token."""
    return reference.is_reference(_read(path))


def _signer(path: Path, passphrase: bytes | None) -> CryptoSigner:
    key = private(path, passphrase)
    if not isinstance(key, Ed25519PrivateKey | HeldP256):
        raise SignError(f"{path} is not an Ed25519 key")
    return CryptoSigner(key)


def _certificate_rows(folder: Path, name: str, now: datetime) -> list[KeyStatus]:
    certificate = folder / f"{name}.crt"
    expires = certificates.expiry(certificate.read_bytes()) if certificate.is_file() else None
    backup = "yes: offline, like root" if name != "db" else "yes: without it no new UKI boots"
    private = _row(f"{name}.key", "RSA-2048", folder / f"{name}.key", None, now, backup)
    if private.state == KeyState.MISSING and not name.startswith("db"):
        private = replace(private, state=KeyState.OFFLINE)
    return [
        private,
        _row(f"{name}.crt", "certificate", certificate, expires, now, "yes: public"),
    ]


def _row(name: str, kind: str, place: Path, expires: datetime | None, now: datetime, backup: str) -> KeyStatus:
    days = (expires - now).days if expires else WARN
    ends = int(expires.timestamp()) if expires else 0
    return KeyStatus(name, kind, str(place), ends, _state(place.is_file(), days), backup)


def _in_token(row: KeyStatus) -> KeyStatus:
    place = Path(row.place)
    there = place.is_file() and held(place)
    return replace(row, kind="in a token", backup="the key: in a second token, or where it came from") if there else row


def _state(present: bool, days: int) -> KeyState:
    if not present:
        return KeyState.MISSING
    if days < 0:
        return KeyState.EXPIRED
    return KeyState.WARN if days < WARN else KeyState.OK


def public_halves(folder: Path) -> Mapping[str, bytes]:
    """The files of the fleet repo's keys/, by name."""
    others = [name for name in (BUILDER, FIRMWARE) if (folder / name).is_file()]
    return {name: _read(folder / name) for name in (*PUBLIC, *others)}

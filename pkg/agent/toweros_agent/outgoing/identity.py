"""The box's own key: on `TOWEROS`, with a copy on the ESP, so that whoever loses one of them is not mute.

In: both places. Out: the key, whole again in both. A file is PKCS 8 PEM below its own public half, which tells damage:

    public: 3b6a27bc...            (64 hex digits; a key of before has no such line)
    -----BEGIN PRIVATE KEY-----

Rules: a key that proves itself comes before one that only parses, TOWEROS before the ESP; what is missing or damaged
is written again, what cannot be read is left alone, another whole key is moved aside. Where none is left the box makes
one: its reports name it, and somebody who compares the fingerprint lets it in (`toweros box enroll`). It is kept only
when both places were seen to be empty: what cannot be read today, or is not mounted, may be there tomorrow.

Where there is a TPM the copy is sealed (tpm/sealed.py). The plain one goes in a boot that found the key on TOWEROS and
had the sealed one opened, and comes back in any other. A machine whose TOWEROS is memory has a stick
(stick.py), or its key on the medium that it was started from.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toweros_agent.host.disk import sync_folder
from toweros_agent.host.room import in_memory
from toweros_agent.outgoing.stick import Stick
from toweros_agent.tpm.asking import Tpm
from toweros_agent.tpm.sealed import Sealed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ON_ESP = Path("EFI", "toweros", "box.key")
LABEL = b"public: "
MAX_FILE = 4096
NOWHERE = Path("/dev/no-tpm")
ON_MEDIUM = "identity/box.key"
"""Below /toweros of the medium that a box was started from: with the next start it is there again."""


class Identity:
    """The key of this boot. `problems`: why a copy is missing; `lost_with_power`: no place keeps it."""

    def __init__(
        self,
        toweros: Path,
        esp: Path,
        log: Callable[[str], None] = lambda _: None,
        tpm: Tpm | None = None,
        stick: Path | None = None,
    ) -> None:
        self.own, self.copy, self._log = toweros / "box.key", esp / ON_ESP, log
        self.tpm = tpm or Tpm(NOWHERE)
        self.sealed = Sealed(self.copy.parent, self.tpm, log)
        self._stick = Stick(stick or NOWHERE / "key")
        self._medium = (stick or NOWHERE / "key").with_name("medium") / ON_MEDIUM
        self.problems: list[str] = []
        self.lost_with_power = False
        self._key: Ed25519PrivateKey | None = None

    @property
    def public(self) -> str:
        """The public half (hex)."""
        return self._private().public_key().public_bytes_raw().hex()

    def sign(self, text: bytes) -> bytes:
        return self._private().sign(text)

    def settle(self) -> None:
        """Find it now: a TPM takes its time."""
        self._private()

    def _private(self) -> "Ed25519PrivateKey":
        """Looked for once a boot: it costs a slow box a second to load what reads it."""
        if self._key is None:
            self._key = self._settle_in_memory() if in_memory(self.own.parents[1]) else self._settle()
        return self._key

    def _settle_in_memory(self) -> "Ed25519PrivateKey":
        """Of a machine whose TOWEROS is memory: the stick's key, the one of this boot, or a new one."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        found = [each for each in (self._stick.read(), read(self.own)) if isinstance(each, tuple)]
        key = max(found, key=lambda each: each[1])[0] if found else Ed25519PrivateKey.generate()
        if not holds(self._medium, key) and (problem := self._stick.keep(key)):
            self.lost_with_power = True
            self.problems.append(problem)
        if not holds(self.own, key):
            write(self.own, text_of(key))
        return key

    def _settle(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        places = {path: read(path) for path in (self.own, self.copy)}
        sealed = self.sealed.read()
        found = [each for each in (*places.values(), sealed) if isinstance(each, tuple)]
        # max() takes the first of those that are best.
        key = max(found, key=lambda each: each[1])[0] if found else Ed25519PrivateKey.generate()
        if not found:
            self._log(f"the box's key is lost; a new one is made: {fingerprint(public_of(key))}")
            unread = ", ".join(str(path) for path, there in places.items() if there is False)
            if sealed is False:
                unread += f"{', ' * bool(unread)}{self.sealed.path} ({self.sealed.why})"
            if unread:
                self.problems.append(f"the box's new key is not kept: an old one may be in {unread}")
                return key
        safe = self.sealed.keep(key)
        for path, there in places.items():
            another = isinstance(there, tuple) and public_of(there[0]) != public_of(key)
            if path == self.copy and safe and not another and holds(self.own, key):
                self._drop(there)
            elif another or not isinstance(there, tuple):
                self._write(path, there, key)
            elif not there[1] and False not in places.values():
                self._write(path, True, key)  # from now on it proves itself
        return key

    def _drop(self, there: "tuple[Ed25519PrivateKey, bool] | bool") -> None:
        """The plain copy goes, and what it said as far as the disk lets go of it."""
        if there is False or not self.copy.exists():
            return
        try:
            with self.copy.open("r+b") as file:
                file.write(bytes(self.copy.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            self.copy.unlink()
            sync_folder(self.copy.parent)
            self._log(f"{self.copy} is removed: the TPM keeps the copy")
        except OSError as error:
            self._log(f"{self.copy} is not removed: {error}")

    def _write(self, path: Path, there: "tuple[Ed25519PrivateKey, bool] | bool", key: "Ed25519PrivateKey") -> None:
        try:
            if there is False:
                raise OSError(f"there is no {path.parents[1]}" if not path.parents[1].is_dir() else "it cannot be read")
            if isinstance(there, tuple):
                path.replace(path.with_name(f"{path.name}.{public_of(there[0])[:16]}"))
            write(path, text_of(key))
            self._log(f"{path} is written again")
        except OSError as error:
            self.problems.append(f"the box's key is not in {path}: {error}")


def fingerprint(public: str) -> str:
    """What people compare: 128 bits of the key's SHA-256, for reading aloud."""
    digest = sha256(bytes.fromhex(public)).hexdigest()
    return "-".join(digest[start : start + 4] for start in range(0, 32, 4))


def public_of(key: Any) -> str:
    public: str = key.public_key().public_bytes_raw().hex()
    return public


def holds(path: Path, key: "Ed25519PrivateKey") -> bool:
    """Whether the file has this key."""
    there = read(path)
    return isinstance(there, tuple) and public_of(there[0]) == public_of(key)


def text_of(key: "Ed25519PrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return LABEL + public_of(key).encode() + b"\n" + pem


def read(path: Path) -> "tuple[Ed25519PrivateKey, bool] | bool":
    """The key, and whether it proves itself. True: there is none, or it is damaged; False: nobody knows.

    A mount point without what was mounted on it has no folders: then nobody knows either.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE)
        key = load_pem_private_key(data, None)
    except (FileNotFoundError, NotADirectoryError):
        return path.parents[1].is_dir()
    except OSError:
        return False
    except (ValueError, TypeError):
        return True
    if not isinstance(key, Ed25519PrivateKey):
        return True
    said = data.partition(b"\n")[0]
    if not said.startswith(LABEL):
        return key, False
    return (key, True) if said == LABEL + public_of(key).encode() else True


def write(path: Path, data: bytes) -> None:
    """So that a power cut leaves what was there or the new one, for nobody else's eyes. Raises `OSError`."""
    if not path.parents[1].is_dir():
        raise FileNotFoundError(f"there is no {path.parents[1]}")
    path.parent.mkdir(mode=0o700, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    with path.open("r+b") as file:
        os.fsync(file.fileno())  # vfat renames to a record of no bytes; its inode brings the size
    sync_folder(path.parent)
    sync_folder(path.parents[1])

"""What this box alone may know: passphrases and keys that `toweros box secret` brought; and where services find them.

In: TOWEROS/secrets, the TPM. Out: each secret as a file in `out` (memory). `NAME` is as it came, `NAME.sealed` is
closed with a key that only this machine's TPM opens (`.key`). Rules: what is plain goes only when what is sealed was
opened again from the disk; a TPM that does not answer, or is not there, leaves what is plain where it is; what cannot
be opened is said, and asked for again. A secret counts as it came last.

    Vault(disk / "secrets", run / "secrets", tpm, log).settle()
"""

import json
import os
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from toweros_agent.host.disk import sync_folder
from toweros_agent.nouns import FORMAT
from toweros_agent.tpm.asking import ClosedError, NoTpmError, Tpm, TpmError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
LARGEST = 16 << 10
"""Bytes of one secret: a key with its certificates."""
MOST = 64
"""Secrets of a box."""
KEY, SUFFIX, NONCE = ".key", ".sealed", 12
SECONDS = 8.0
"""Of a TPM that is slow: nobody feeds the watchdog meanwhile."""
AGAIN = 600.0
"""Seconds until a TPM that did not answer is asked again: nobody could reach a box that waits for a restart."""


class Vault:
    """The secrets of a box. `why`: why some cannot be opened, ""; they are asked for again at the next `settle`."""

    def __init__(self, folder: Path, out: Path, tpm: Callable[[], Tpm], log: Callable[[str], None]) -> None:
        self.folder, self.out, self._tpm, self._log, self.why = folder, out, tpm, log, ""
        self._key: bytes | None = None
        self._next = 0.0

    @classmethod
    def of(cls, disk: Path, run: Path, device: Path, log: Callable[[str], None]) -> "Vault":
        """That of this boot: `disk` is TOWEROS, `run` in memory."""
        return cls(disk / "secrets", run / "secrets", partial(Tpm, device, SECONDS), log)

    def settle(self) -> None:
        """Lay out what there is, and seal what came. Raises `OSError`: nothing of it can be read."""
        self.why = ""
        names = self._names()
        if not names:
            return
        key = self._open_key()
        for name in names:
            try:
                self._one(name, key)
            except (OSError, ValueError) as error:
                self.why = f"the secret {name} is not here: {error}; `toweros box secret` brings it again"

    def _names(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        found = {path.name.removesuffix(SUFFIX) for path in self.folder.iterdir()}
        return sorted(name for name in found if NAME.fullmatch(name))[:MOST]

    def _one(self, name: str, key: bytes | None) -> None:
        plain, sealed = self.folder / name, self.folder / (name + SUFFIX)
        if plain.is_file():
            value = _read(plain)
            self._lay_out(name, value)
            if key is not None:
                _write(sealed, _close(key, name, value))
                if _opened(key, name, _read(sealed)) != value:
                    raise ValueError("it is another one that comes back")
                _overwrite(plain)
                self._log(f"the secret {name} is sealed by the TPM")
            return
        if key is None:
            raise ValueError("the TPM does not open it")
        self._lay_out(name, _opened(key, name, _read(sealed)))

    def _open_key(self) -> bytes | None:
        """The key of all of them; None: there is no TPM, or it says no. A key that is another TPM's is made anew."""
        if self._key is None and time.monotonic() >= self._next:
            self._next = time.monotonic() + AGAIN
            try:
                self._key = self._ask(self._tpm())
            except NoTpmError:
                pass
            except (TpmError, OSError, ValueError) as error:
                self._log(f"the secrets are not sealed: {error}")
        return self._key

    def _ask(self, tpm: Tpm) -> bytes:
        path, old = self.folder / KEY, self.folder / f"{KEY}.old"
        for each in filter(Path.exists, (path, old)):
            try:
                return tpm.open(_key_of(_read(each)))
            except (ClosedError, ValueError) as error:
                self._log(f"the key of the secrets does not open ({each.name}): {error}")
        if path.exists() and not old.exists():  # the board may come back
            path.replace(old)
        key = os.urandom(32)
        _write(path, json.dumps({"format": FORMAT, "sealed": tpm.seal(key).hex()}).encode())
        try:
            if tpm.open(_key_of(_read(path))) == key:
                return key
        except ClosedError as error:
            raise TpmError(str(error)) from error
        raise TpmError("it is another key that comes back")

    def _lay_out(self, name: str, value: bytes) -> None:
        self.out.mkdir(mode=0o700, exist_ok=True)
        path = self.out / name
        if not path.is_file() or path.read_bytes() != value:
            _write(path, value)


def _key_of(data: bytes) -> bytes:
    document = json.loads(data)
    if not isinstance(document, dict) or document.get("format") != FORMAT or not isinstance(document["sealed"], str):
        raise ValueError("it is of another format")
    return bytes.fromhex(document["sealed"])


def _close(key: bytes, name: str, value: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, value, name.encode())


def _opened(key: bytes, name: str, data: bytes) -> bytes:
    """Raises `ValueError`: it is damaged, or another key's."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(data[:NONCE], data[NONCE:], name.encode())
    except InvalidTag as error:
        raise ValueError("it is damaged, or of another TPM") from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(LARGEST + NONCE + 16 + 1)
    if not data or len(data) > LARGEST + NONCE + 16:
        raise ValueError(f"it has more than {LARGEST >> 10} KiB" if data else "it is empty")
    return data


def _write(path: Path, data: bytes) -> None:
    """Whatever is cut: the old content or the new."""
    beside = path.with_name(f".{path.name}.new")
    with open(beside, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def _overwrite(path: Path) -> None:
    """On a disk of old the bytes are gone then; flash may keep them."""
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    sync_folder(path.parent)

"""The sealed copy of the box's key on the ESP: `EFI/toweros/box.sealed`, which only this machine's TPM opens.

In: the file, the TPM. Out: the key, and whether the copy is proven. {"format": 1, "public": HEX, "sealed": BASE64}: the
public half, and TPM2B_PRIVATE and TPM2B_PUBLIC of the sealed seed. Rules: a copy counts when the TPM opened what the
disk gave back, in this boot; one of another key is moved aside; a TPM that was cleared, or is another one, says so, and
then the copy is as good as damaged; one that does not answer, or is not there, may do so tomorrow. The TPM's word is
what proves the key; the public half only tells whose copy it is while nobody can open it.
"""

import base64
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from toweros_agent.host.disk import sync_folder
from toweros_agent.host.renaming import rename, replace, settle
from toweros_agent.nouns import FORMAT, digest, number, text
from toweros_agent.tpm.asking import ClosedError, NoTpmError, Tpm, TpmError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAME = "box.sealed"
MAX_FILE = 8192


class Sealed:
    """The copy in `folder`. `why`: why it cannot be opened, "" when it can, or when there is none."""

    def __init__(self, folder: Path, tpm: Tpm, log: Callable[[str], None]) -> None:
        self.path, self.tpm, self._log, self.why = folder / NAME, tpm, log, ""
        self._named, self._opened = "", b""

    def read(self) -> "tuple[Ed25519PrivateKey, bool] | bool":
        """As `identity.read`."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            self._opened = self._open()
            return Ed25519PrivateKey.from_private_bytes(self._opened), True
        except (FileNotFoundError, NotADirectoryError):
            return self.path.parents[1].is_dir()
        except (ClosedError, ValueError, TypeError, KeyError, RecursionError) as error:
            self.why, self._opened = str(error), b""
            return True
        except NoTpmError:
            self.why = "there is no TPM"
        except (TpmError, OSError) as error:
            self.why = str(error)
        return False

    def keep(self, key: "Ed25519PrivateKey") -> bool:
        """Is the copy of this key proven? It is made when it is not."""
        secret, public = key.private_bytes_raw(), key.public_key().public_bytes_raw().hex()
        if self._opened == secret and self._named == public:
            return True
        try:
            sealed = base64.b64encode(self.tpm.seal(secret)).decode()
            self._write(json.dumps({"format": FORMAT, "public": public, "sealed": sealed}).encode(), public)
            if self._open() != secret:
                raise ValueError("it is another one that comes back")
        except NoTpmError:
            return False
        except (TpmError, ClosedError, OSError, ValueError, TypeError, KeyError) as error:
            self._log(f"the copy of the box's key is not sealed: {error}")
            return False
        self._log(f"{self.path} is sealed by the TPM" + (f"; the one before did not open: {self.why}" * bool(self.why)))
        return True

    def _open(self) -> bytes:
        """What is sealed in the file. Raises `OSError`, as `Tpm.open`, and anything when the file is damaged."""
        self._named = ""
        with self.path.open("rb") as file:
            document = json.loads(file.read(MAX_FILE))
        if not isinstance(document, dict) or number(document["format"]) != FORMAT:
            raise ValueError("it is of another format")
        self._named = digest(document["public"])
        return self.tpm.open(base64.b64decode(text(document["sealed"]), validate=True))

    def _write(self, data: bytes, public: str) -> None:
        """Whatever is cut: one of the names has all of the new content, or of the old (ADR 32). Raises `OSError`."""
        folder = self.path.parent
        if not folder.parent.is_dir():
            raise FileNotFoundError(f"there is no {folder.parent}")
        folder.mkdir(mode=0o700, exist_ok=True)
        if self._named not in ("", public):
            with contextlib.suppress(FileExistsError):
                rename(self.path, self.path.with_name(f"{NAME}.{self._named[:16]}"), check=True)
        beside = self.path.with_name(f"{NAME}.new")
        beside.write_bytes(data)
        self.path.touch()
        for each in (beside, self.path):
            settle(each)
        sync_folder(folder)
        replace(beside, self.path)

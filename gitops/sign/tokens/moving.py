"""A key that lies in a file goes on in a token; or its token is another one now, with a copy of the key.

In: the key file, the key in the token. Out: the file names the key in the token, and FILE.moved is what it was. Rules:
it must be the same key, which the token proves by a signature; nothing is removed, as a key that is in no backup would
be lost with the token: people do that.

    move(Path("/etc/toweros/keys/PK.key"), held, b"")
"""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from gitops.errors import SignError
from gitops.sign import keys
from gitops.sign.tokens.held import AnyHeld, HeldP256, HeldRsa

PROBE = b"TowerOS: is this the key? No format of ours begins like this."


def move(file: Path, held: AnyHeld, passphrase: bytes) -> Path | None:
    """Returns where the private key is now that was in the file; None: it named a token before.

    Raises:
        SignError: the keys are not the same, or the token does not sign.
    """
    if _public(file, passphrase) != held.public_key():
        raise SignError(f"the key in the token is another one than that of {file}", hint="import that one first")
    _prove(held)
    kept = None if keys.held(file) else file.with_name(f"{file.name}.moved")
    if kept:
        if kept.exists():
            raise SignError(f"{kept} is there already", hint="keep it in the backup, and remove it here")
        keys.write(kept, file.read_bytes())
    keys.write(file, held.text)
    return kept


def _public(file: Path, passphrase: bytes) -> object:
    try:
        data = file.read_bytes()
        if b"OPENSSH PRIVATE KEY" in data:
            return load_ssh_private_key(data, None).public_key()
    except (OSError, ValueError, TypeError) as error:
        raise SignError(f"{file} holds no key that can be read") from error
    return keys.private(file, passphrase if b"ENCRYPTED" in data else None).public_key()


def _prove(held: AnyHeld) -> None:
    if isinstance(held, HeldRsa):
        held.sign(PROBE, PKCS1v15(), SHA256())
    elif isinstance(held, HeldP256):
        held.sign(PROBE, ECDSA(SHA256()))
    else:
        held.sign(PROBE)

"""Signatures of commits as `ssh-keygen -Y sign` makes them (OpenSSH's PROTOCOL.sshsig), with a key that no file holds.

sign(key, b"tree ...", "git")
"""

import base64
import struct
import textwrap
from hashlib import sha512

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAGIC, VERSION, HASH, KIND = b"SSHSIG", 1, b"sha512", b"ssh-ed25519"


def sign(key: Ed25519PrivateKey, data: bytes, namespace: str) -> bytes:
    """An armoured signature."""
    about = _string(namespace.encode()) + _string(b"") + _string(HASH)
    signature = key.sign(MAGIC + about + _string(sha512(data).digest()))
    public = _string(KIND) + _string(key.public_key().public_bytes_raw())
    blob = MAGIC + struct.pack(">I", VERSION) + _string(public) + about + _string(_string(KIND) + _string(signature))
    lines = "\n".join(textwrap.wrap(base64.b64encode(blob).decode(), 70))
    return f"-----BEGIN SSH SIGNATURE-----\n{lines}\n-----END SSH SIGNATURE-----\n".encode()


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data

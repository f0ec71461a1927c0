"""What can be said of an SSH signature without starting a program, for floods of what cannot count.

In: its claim, the signed bytes, the lines that it may count by, revoked keys. Out: why it counts for nothing, or None:
ask ssh-keygen. Rules: nothing is let in here; what is not sure is left to ssh-keygen. Whoever may push tags makes a
thousand that claim a listed key in a second, and each would cost some processes, or a place among those looked at.
Pure.

    refusal = doubt(claim, payload, lines, revoked, now)      # Reason.bad_signature
"""

import base64
import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from gitops.errors import Reason
from gitops.fleet.keys.listed import Line, lines
from gitops.source.trust.ssh.sshsig import Claim, string, strings

SLACK = 2 * 86400
"""Seconds by which a date must be over: time zones are ssh-keygen's affair."""
_RSA = {b"rsa-sha2-256": hashes.SHA256(), b"rsa-sha2-512": hashes.SHA512()}
_CURVES = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}


def doubt(claim: Claim, payload: bytes, listed: Sequence[Line], revoked: bytes, now: float) -> Reason | None:
    """Why it counts for nothing; None: that is not sure."""
    if not _holds(claim, payload):
        return Reason.bad_signature
    if listed and all(line.before is not None and line.before + SLACK < now for line in listed):
        return Reason.expired_key
    if any(_key(line) == claim.key for line in lines(revoked)):
        return Reason.revoked_key
    return None


def _key(line: Line) -> bytes:
    """Of a line with a key alone, as `revoked_keys` has them."""
    words = line.text.split()
    try:
        return base64.b64decode(words[1]) if len(words) > 1 else b""
    except ValueError:
        return b""


def _holds(claim: Claim, payload: bytes) -> bool:
    """Whether it may be a signature of these bytes, by that key, and the certificate one of its authority."""
    if len(claim.rest) != 4:
        return False
    namespace, reserved, digest, proof = claim.rest
    hashed = hashlib.new(digest.decode(), payload).digest()
    words = b"SSHSIG" + b"".join(map(string, (namespace, reserved, digest, hashed)))
    name = claim.blob[4 : 4 + int.from_bytes(claim.blob[:4])]
    try:
        known = load_ssh_public_identity(name + b" " + base64.b64encode(claim.blob))
        if isinstance(known, SSHCertificate):
            known.verify_cert_signature()
            known = known.public_key()
        kind, own = strings(proof)[:2]
        _verify(known, kind, own, words)
    except InvalidSignature:
        return False
    except Exception:
        return True  # of a kind that we cannot read: strangers choose these bytes, and it raises many things
    return True


def _verify(key: object, kind: bytes, proof: bytes, words: bytes) -> None:
    """Raises InvalidSignature; ValueError where nothing is known of the kind."""
    if isinstance(key, Ed25519PublicKey) and kind == b"ssh-ed25519":
        key.verify(proof, words)
    elif isinstance(key, RSAPublicKey) and kind in _RSA:
        key.verify(proof, words, PKCS1v15(), _RSA[kind])
    elif isinstance(key, EllipticCurvePublicKey) and kind.startswith(b"ecdsa-"):
        one, two = (int.from_bytes(each) for each in strings(proof))
        key.verify(encode_dss_signature(one, two), words, ECDSA(_CURVES[key.curve.name]))
    else:
        raise ValueError(kind)

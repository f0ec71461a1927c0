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
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

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
    try:
        if claim.certificate:
            _verify(claim.certificate.authority, claim.certificate.signature, claim.certificate.signed)
        _verify(claim.key, proof, words)
    except InvalidSignature:
        return False
    except Exception:
        return True  # of a kind that we cannot read: strangers choose these bytes, and it raises many things
    return True


def _verify(blob: bytes, signature: bytes, words: bytes) -> None:
    """Raises InvalidSignature, also for what no key of its kind signs; others where nothing is known of the key."""
    name = strings(blob)[0]
    key = load_ssh_public_key(name + b" " + base64.b64encode(blob))
    try:
        _check(key, strings(blob), signature, words)
    except (ValueError, TypeError) as error:  # damage
        raise InvalidSignature from error


def _check(key: object, fields: list[bytes], signature: bytes, words: bytes) -> None:
    name, (kind, proof, *_) = fields[0], strings(signature)
    if name.startswith(b"sk-"):  # PROTOCOL.u2f: its application, flags and counter are signed, too
        if kind == b"webauthn-" + name:
            return  # signs what a browser adds
        words = hashlib.sha256(fields[-1]).digest() + signature[-5:] + hashlib.sha256(words).digest()
    if kind not in (_RSA if isinstance(key, RSAPublicKey) else (name,)):
        raise InvalidSignature
    if isinstance(key, Ed25519PublicKey):
        key.verify(proof, words)
    elif isinstance(key, RSAPublicKey):
        key.verify(proof, words, PKCS1v15(), _RSA[kind])
    elif isinstance(key, EllipticCurvePublicKey):
        one, two = (int.from_bytes(each) for each in strings(proof))
        key.verify(encode_dss_signature(one, two), words, ECDSA(_CURVES[key.curve.name]))

"""A credential that one TPM alone opens, and only for one machine's key (TPM 2.0 Library, Part 1, 24 and Annex C).

In: the public area of a TPM's endorsement key; that of an object in the same TPM, whose policy is made of the machine's
key; a secret. Out: what TPM2_ActivateCredential takes. Rules: the endorsement key is ECC P-256 by TCG's template (EK
Credential Profile 2.5, B.4.4: L-2), byte for byte but for its point: it decrypts credentials and nothing else; the
object is `OBJECT` with the machine's policy: the TPM compares its name with the credential's, so that a credential for
one machine's key is of no use in the TPM of another, whoever carries it there. 32 bytes of secret.

    endorsement(ek)                                 # its digest: what a fleet repo lists
    seal(ek, bound, key, secret)                    # blob and encrypted seed, as two TPM2B
"""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from gitops.errors import SignError
from gitops.model import sha256

POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
"""PolicySecret of the endorsement hierarchy."""
EK = struct.pack(">HHIH", 0x23, 0xB, 0x300B2, 32) + POLICY + struct.pack(">HHHHHH", 6, 128, 0x43, 0x10, 3, 0x10)
"""ECC, SHA-256, fixedTPM fixedParent sensitiveDataOrigin adminWithPolicy restricted decrypt, the policy, AES-128-CFB,
no scheme, P-256, no KDF; then its point."""
OBJECT = struct.pack(">HHIH", 0x23, 0xB, 0x30472, 32), struct.pack(">HHHHHH", 6, 128, 0x43, 0x10, 3, 0x10)
"""Before and after the policy: ECC, SHA-256, fixedTPM fixedParent sensitiveDataOrigin userWithAuth noDA restricted
decrypt."""
DOMAIN = b"toweros machine "
COORDINATE, BLOCK = 32, 16
SECRET = 32


def endorsement(ek: bytes) -> str:
    """What a fleet repo lists: the SHA-256 (hex) of the key's public area.

    Raises:
        SignError: it is no endorsement key by the template.
    """
    _point(ek, EK)
    return sha256(ek)


def policy(key: str) -> bytes:
    """The policy of the object that is bound to a machine's key (Ed25519, hex): nobody fulfils it, it is a name."""
    return hashlib.sha256(DOMAIN + bytes.fromhex(key)).digest()


def seal(ek: bytes, bound: bytes, key: str, secret: bytes) -> bytes:
    """What the TPM with `ek` opens when it has made the object `bound` for the machine with `key` (hex).

    Raises:
        SignError: `ek` or `bound` is not what it must be.
    """
    theirs = _point(ek, EK)
    _point(bound, OBJECT[0] + policy(key) + OBJECT[1])
    name = struct.pack(">H", 0xB) + hashlib.sha256(bound).digest()
    ours = ec.generate_private_key(ec.SECP256R1())
    numbers = ours.public_key().public_numbers()
    x, y = (each.to_bytes(COORDINATE, "big") for each in (numbers.x, numbers.y))
    shared = ours.exchange(ec.ECDH(), theirs)
    their_x = theirs.public_numbers().x.to_bytes(COORDINATE, "big")
    seed = hashlib.sha256(struct.pack(">I", 1) + shared + b"IDENTITY\0" + x + their_x).digest()
    hidden = _cfb(_kdf(seed, b"STORAGE", name, 128), _sized(secret))
    proof = hmac.new(_kdf(seed, b"INTEGRITY", b"", 256), hidden + name, "sha256").digest()
    return _sized(_sized(proof) + hidden) + _sized(_sized(x) + _sized(y))


def _cfb(key: bytes, data: bytes) -> bytes:
    """CFB with whole blocks (NIST SP 800-38A, 6.3), which `cryptography` is about to drop; the first block is zeros."""
    block, hidden = Cipher(algorithms.AES(key), modes.ECB()).encryptor(), b""  # noqa: S305 - one block at a time
    last = bytes(BLOCK)
    for start in range(0, len(data), BLOCK):
        pad = block.update(last)
        last = bytes(one ^ other for one, other in zip(data[start : start + BLOCK], pad, strict=False))
        hidden += last
    return hidden


def _kdf(key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """KDFa with SHA-256 (Part 1, 11.4.10.2), of at most one block."""
    text = struct.pack(">I", 1) + label + b"\0" + context + struct.pack(">I", bits)
    return hmac.new(key, text, "sha256").digest()[: bits // 8]


def _point(area: bytes, template: bytes) -> ec.EllipticCurvePublicKey:
    """The key of a public area that begins as `template` does.

    Raises:
        SignError: it does not, or its point is none.
    """
    x, y = area[len(template) + 2 :][:COORDINATE], area[len(template) + 4 + COORDINATE :]
    try:
        if area != template + _sized(x) + _sized(y) or len(x) != COORDINATE or len(y) != COORDINATE:
            raise ValueError("another template")
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
        return numbers.public_key()
    except ValueError as error:
        raise SignError("this is no key of a TPM as it must be", hint="ECC P-256 by TCG's template L-2") from error


def _sized(data: bytes) -> bytes:
    """A TPM2B."""
    return struct.pack(">H", len(data)) + data

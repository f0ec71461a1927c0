"""Whether the keys of a folder work: each signs something, and what proves it is what boxes were given.

In: the keys folder, the time. Out: names of keys that signed. Rules: the online keys are those that the newest root
names, the builder's the one of builder.json, db's key that of its certificate; nothing that is signed here leaves.

    proven(settings.keys, now)      # ["targets", "snapshot", "timestamp", "builder", "db"]
"""

import secrets
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import Metadata, Root

from gitops.errors import DocumentError, SignError
from gitops.model import Builders
from gitops.sign import keys
from gitops.sign.firmware import renewal

BACK = "restore the keys from their backup"


def proven(folder: Path, now: int) -> list[str]:
    """The keys by which a controller signs.

    Raises:
        SignError: one is missing, is not the one that boxes know, or its root has ended.
    """
    roots = keys.load_roots(folder)
    root = Metadata[Root].from_bytes(roots[max(roots)]).signed
    if root.is_expired(datetime.fromtimestamp(now, UTC)):
        raise SignError(f"root {root.version} has ended", hint="`toweros keys renew`")
    online = keys.load_online(folder)
    for role, signer in online.items():
        named = [root.keys[keyid] for keyid in root.roles[role].keyids]
        _prove(role, signer, named, f"root {root.version}")
    builders = keys.load_builders(folder)
    if not builders:
        raise SignError(f"{folder} has no builder.pem", hint=BACK)
    believed = _believed(folder)
    for signer in builders[:1]:
        named = [signer.public_key] if signer.public_key.keyval["public"] in believed else []
        _prove("builder", signer, named, keys.BUILDER)
    for key, certificate in renewal.pairs(folder):
        _same(key, certificate)
    return [*online, "builder", "db"]


def _prove(name: str, signer: CryptoSigner, named: list[Key], where: str) -> None:
    data = secrets.token_bytes(32)
    signature = signer.sign(data)
    own = next((key for key in named if key.keyid == signature.keyid), None)
    if own is None:
        raise SignError(f"the key {name} is not the one that {where} names", hint=BACK)
    try:
        own.verify_signature(signature, data)
    except (UnverifiedSignatureError, VerificationError) as error:
        raise SignError(f"what the key {name} signs is not proven by {where}", hint=BACK) from error


def _believed(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(Builders.parse((folder / keys.BUILDER).read_bytes()).keys)
    except (OSError, DocumentError) as error:
        raise SignError(f"{folder / keys.BUILDER} is missing or damaged", hint=BACK) from error


def _same(key: Path, certificate: Path) -> None:
    """Raises SignError: the certificate is another key's."""
    try:
        public = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        same = public.public_bytes(*form) == keys.private(key).public_key().public_bytes(*form)
    except (OSError, ValueError) as error:
        raise SignError(f"{certificate} is missing or damaged", hint=BACK) from error
    if not same:
        raise SignError(f"{certificate} is not the certificate of {key}", hint=BACK)

"""A machine's TPM proves which one it is, in two reports.

In: what a report says of its TPM: the public areas of the endorsement key and of an object that is made for this
machine's key (base64), and the secret that came out of our credential. Out: the digest of the endorsement key, once it
is proven; until then the credential, for a header of the answer. Rules: the secret follows from the key, the
endorsement key and a secret of ours, so that nothing is kept for strangers; who reads it on the way can say it for that
machine's key alone, and has not that key.

    header, digest = endorse(store, key, ek, bound, proof)
"""

import base64
import hmac

from gitops.errors import SignError
from gitops.sign.endorsement import credential
from gitops.sign.receipts import Receipts
from gitops.store import Store

CHALLENGE = "toweros-challenge"
DOMAIN = b"toweros challenge "


def endorse(store: Store, key: str, ek: str, bound: str, proof: str) -> tuple[dict[str, str], str]:
    """The header that asks for a proof, and the digest of the endorsement key that is proven; empty: none."""
    if not ek or not bound:
        return {}, ""
    try:
        areas = (base64.b64decode(ek, validate=True), base64.b64decode(bound, validate=True))
        digest = credential.endorsement(areas[0])
        secret = _secret(store, key, digest)
        if proof and hmac.compare_digest(proof, secret.hex()):
            return {}, digest
        sealed = credential.seal(*areas, key, secret)
    except (SignError, ValueError):
        return {}, ""
    return {CHALLENGE: base64.b64encode(sealed).decode()}, ""


def _secret(store: Store, key: str, digest: str) -> bytes:
    ours = Receipts.made(store).key.private_bytes_raw()
    return hmac.new(ours, DOMAIN + bytes.fromhex(key) + bytes.fromhex(digest), "sha256").digest()

"""Secure Boot signatures by sbsign, or by a token: a PE file in, the same file with db's signature out.

A signature carries the time it was made, so signing twice gives two files; signed files are named by digest. The store
therefore remembers, per input and certificate, what came out the first time.
"""

import tempfile
from pathlib import Path

from cryptography import x509

from gitops.errors import ProcessError, SignError, StoreError
from gitops.model import sha256
from gitops.process import run
from gitops.sign import keys
from gitops.sign.tokens import authenticode
from gitops.sign.tokens.held import HeldRsa
from gitops.store import Store
from gitops.store.notes.documents import SignedBootFile

HINT = "install sbsigntool"


def sign(image: bytes, key: Path, certificate: Path, store: Store | None = None) -> bytes:
    """`image` signed; with a store, the same input gives the same output.

    Raises:
        SignError: the key is not there, or the image is no PE file.
    """
    for path in (key, certificate):
        if not path.is_file():
            raise SignError(f"{path} is missing", hint="run `toweros keys init`, or restore the backup")
    name = f"{sha256(image)}:{sha256(certificate.read_bytes())[:16]}"
    known = _remembered(store, name)
    if known is not None:
        return known
    signed = _by_token(image, key, certificate) if keys.held(key) else _sbsign(image, key, certificate)
    if store:
        store.notes.put(SignedBootFile(store.blobs.put(signed).sha256), name)
    return signed


def verify(image: bytes, certificate: Path) -> bool:
    """Whether one of the signatures of `image` is made with `certificate`'s key."""
    with tempfile.TemporaryDirectory(prefix="toweros-") as folder:
        file = Path(folder, "image.efi")
        file.write_bytes(image)
        try:
            run(["sbverify", "--cert", certificate, file], hint=HINT)
        except ProcessError:
            return False
        return True


def _remembered(store: Store | None, name: str) -> bytes | None:
    signed = store.notes.get(SignedBootFile, name) if store else None
    if store is None or signed is None:
        return None
    try:
        return store.blobs.read(signed.sha256)
    except StoreError:
        return None


def _by_token(image: bytes, key: Path, certificate: Path) -> bytes:
    """Verified as a whole: the token has signed, and it is db's certificate that proves it."""
    private = keys.private(key)
    if not isinstance(private, HeldRsa):
        raise SignError(f"{key} is not an RSA key")
    signed = authenticode.sign(image, private, x509.load_pem_x509_certificate(certificate.read_bytes()))
    if not verify(signed, certificate):
        raise SignError(f"{certificate} does not prove what {key} signs", hint="restore the backup of the keys")
    return signed


def _sbsign(image: bytes, key: Path, certificate: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="toweros-") as folder:
        before, after = Path(folder, "in.efi"), Path(folder, "out.efi")
        before.write_bytes(image)
        try:
            run(["sbsign", "--key", key, "--cert", certificate, "--output", after, before], hint=HINT)
        except ProcessError as error:
            raise SignError(f"cannot sign for Secure Boot: {error.message}", hint=error.hint) from error
        if not after.is_file():
            raise SignError("sbsign made no signed file")
        return after.read_bytes()

"""Boxes are offered systemd-boot while its signature is to change: an older db key signs along with the newest.

In: a store whose packages are built, a signer. Out: the signed file among what is published, or no such file any more.
Rules: what is signed stays the program of when that began: a newer one would reach all boxes past canary and trial. A
box takes it only when its own is signed by nothing that stays (`toweros_agent.firmware.keyring`), and is the same.

    offer_loader(store, signer)
"""

from contextlib import suppress

from gitops.errors import StoreError
from gitops.sign import Signer
from gitops.store import Store
from gitops.store.notes.box_keys import OfferedLoader
from gitops.workflows.workshop import boot_loader


def offer_loader(store: Store, signer: Signer) -> None:
    """Keep what is offered as it is to be."""
    known, wanted = store.notes.get(OfferedLoader) or OfferedLoader(), OfferedLoader()
    if signer.signs_along:
        try:
            body, by = _body(store, known), signer.boot_signers
            if (known.body, known.by) == (body, by) and store.blobs.has(known.sha256):
                return
            ref = store.blobs.put(signer.sign_boot(store.blobs.read(body)))
        except StoreError:  # nothing is built yet: then no box waits for it
            return
        wanted = OfferedLoader(ref.sha256, ref.size, body, by)
    if wanted != known:
        store.notes.put(wanted)


def _body(store: Store, known: OfferedLoader) -> str:
    """The digest of what is signed: the same as long as keys change. Raises `StoreError`."""
    if known.body:
        with suppress(StoreError):
            store.blobs.read(known.body)
            return known.body
    return store.blobs.put(boot_loader(store)).sha256

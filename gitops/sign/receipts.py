"""Receipts: the server's signature over the digest of a report that it got (contracts/receipt).

In: a report's text. Out: a header. The key is Ed25519, of its own, and lies in the store, where every server of a store
finds it; the signed metadata name its public half (`custom`, `receipts`). It can say that a report came, and no more.

    receipt = Receipts.of(store)                    # None: nothing was published yet that names a key
    receipt.header("demo-1", text, taken=True, now=1790000000)
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitops.model import canonical, sha256
from gitops.store import Store
from gitops.store.notes.documents import ReceiptKey

RECEIPT_FORMAT = 1
HEADER = "toweros-receipt"


@dataclass(frozen=True)
class Receipts:
    """Signs receipts."""

    key: Ed25519PrivateKey

    @classmethod
    def of(cls, store: Store) -> "Receipts | None":
        """With the key of this store, if there is one."""
        note = store.notes.get(ReceiptKey)
        return cls(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(note.private))) if note else None

    @classmethod
    def made(cls, store: Store) -> "Receipts":
        """With the key of this store; the first call makes it."""
        found = cls.of(store)
        if found:
            return found
        key = Ed25519PrivateKey.generate().private_bytes_raw().hex()

        def first(note: ReceiptKey) -> ReceiptKey:
            return note if note.private else ReceiptKey(key)

        note = store.notes.change(ReceiptKey, first)
        return cls(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(note.private)))

    @classmethod
    def rotated(cls, store: Store) -> "Receipts":
        """With a new key. Until the next pass has named it, boxes take no receipt, and send their reports again."""
        store.notes.put(ReceiptKey(Ed25519PrivateKey.generate().private_bytes_raw().hex()))
        return cls.made(store)

    @property
    def public(self) -> str:
        return self.key.public_key().public_bytes_raw().hex()

    def header(self, box: str, text: bytes, *, taken: bool, now: int) -> dict[str, str]:
        """The header that proves that this report arrived, and whether it counts."""
        receipt = canonical({"format": RECEIPT_FORMAT, "box": box, "report": sha256(text), "taken": taken, "time": now})
        return {HEADER: f"{self.key.sign(receipt).hex()} {receipt.decode()}"}

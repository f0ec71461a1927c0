"""Signing: key files, TUF metadata, Secure Boot signatures, box keys.

keys         the keys folder: made once, never overwritten; what to back up, what expires
commits      the controller's own key for commits of security updates
certificates Secure Boot's PK, KEK and db: RSA-2048 with self-signed certificates
shared       the repository of all boxes: the hash bins as they are published, each parsed once
tuf          targets -> the TUF metadata files to write, in the order in which they must be written
small        one small TUF repository for each box
ssh          certificates for the SSH host keys of boxes
secureboot   a signed UKI, addon or boot loader
envelope     DSSE: a payload with signatures, made and opened
box          a box's own Ed25519 key, and the proof that a report is its
receipts     the server's signature over the digest of a report
tokens       keys that lie in a token (PKCS#11), wherever a file would hold one

signer = Signer.open(Path("/etc/toweros/keys"), store)
files = signer.metadata(published, targets, now)
signed = signer.sign_boot(unsigned)
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from gitops.errors import SignError
from gitops.model import Builders, Target
from gitops.sign import envelope, keys, secureboot, tuf
from gitops.sign.firmware import renewal
from gitops.sign.receipts import Receipts
from gitops.sign.shared.bins import Bins, Published
from gitops.sign.small.fleet import Bunch, Shelf, Small
from gitops.sign.small.repository import By
from gitops.store import Store
from gitops.store.notes.restored import VersionFloor

__all__ = ["Signer"]


class Signer:
    """Holds the online keys of one folder. Nothing in it prints or returns a private key."""

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        self._folder, self._store = folder, store
        self._stamp = keys.stamp(folder)
        self._online = keys.load_online(folder)
        self._roots = keys.load_roots(folder)
        self._bins, self._small = Bins(), Small()
        self._builders = keys.load_builders(folder)

    @classmethod
    def open(cls, folder: Path, store: Store | None = None) -> Self:
        """Read the online keys; with a store, Secure Boot signatures are remembered by what they sign.

        Raises:
            SignError: the folder is not one that `toweros keys init` made, or a key of it is missing.
        """
        return cls(folder, store)

    def metadata(
        self, published: Published, targets: Mapping[str, Target], now: int, clock: int | None = None
    ) -> list[tuple[str, bytes]]:
        """The files to write, first to last, so that `targets` is what boxes may take; none when nothing is due. They
        are dated `now`; `clock` is the time that it is, if that is another.

        A controller runs for months, and `toweros keys rotate` beside it: keys that changed are read again.
        """
        return tuf.update(published, targets, self._authority(), now, self._bins, clock)

    def roots(self, published: Published, clock: int) -> list[tuple[str, bytes]]:
        """Every root that is not published yet. They come before all else.

        Raises:
            SignError: the newest has expired at `clock`, or an online key is not the one that it names.
        """
        return tuf.roots(published, self._authority(), clock)

    def small(self, shelf: Shelf, targets: Mapping[str, Target], now: int) -> Iterator[Bunch]:
        """What has to be written, dated `now`, so that each box's own repository offers its part of `targets`. Whoever
        wrote a bunch goes on."""
        authority = self._authority()
        by = By(authority.root(), authority.online, authority.floor)
        for bunch in self._small.due(shelf, targets, by, now):
            yield bunch
            self._small.wrote(shelf, bunch)

    def offered(self, shelf: Shelf) -> dict[str, Mapping[str, Target] | None]:
        """What each box's own repository offers now; None: it is damaged."""
        return self._small.offered(shelf)

    def _authority(self) -> tuf.Authority:
        if (stamp := keys.stamp(self._folder)) != self._stamp:
            self._online, self._roots = keys.load_online(self._folder), keys.load_roots(self._folder)
            self._stamp = stamp
        floor = (self._store.notes.get(VersionFloor) if self._store else None) or VersionFloor()
        return tuf.Authority(self._roots, self._online, floor.version, floor.at_once)

    def signed(self, published: Published, shelf: Shelf | None = None) -> int:
        """When a published timestamp was signed last (Unix seconds); 0: there is none."""
        return max(tuf.signed(published), self._small.signed(shelf) if shelf else 0)

    def targets(self, published: Published) -> dict[str, Target]:
        """What the published metadata offers now."""
        return tuf.read_targets(published, self._bins)

    def sign_boot(self, image: bytes) -> bytes:
        """`image` with the signatures of all db keys: the same bytes each time for the same input, with a store."""
        for key, certificate in renewal.pairs(self._folder):
            image = secureboot.sign(image, key, certificate, self._store)
        return image

    def verify_boot(self, image: bytes) -> bool:
        """Whether `image` carries a signature that db's certificate proves."""
        return secureboot.verify(image, self._folder / "db.crt")

    @property
    def builders(self) -> Builders | None:
        """Whom boxes are to believe as builders; None: there is no builder's key, so nothing is attested."""
        return keys.builders(self._folder, self._builders)

    def attest(self, payload: bytes) -> bytes:
        """`payload` with the signatures of all builder's keys."""
        return envelope.seal(payload, self._builders)

    def attested(self, data: bytes) -> tuple[bytes, bool] | None:
        """What one of our builder's keys has signed, and whether all of them have; None: none has, or it is damaged."""
        ours = [str(each.public_key.keyval["public"]) for each in self._builders]
        try:
            return envelope.unseal(data, ours), envelope.signed_by(data, ours) == {*ours}
        except SignError:
            return None

    @property
    def receipts(self) -> str:
        """The key (hex) by which the servers of this store sign that they got a report; empty without a store."""
        return Receipts.made(self._store).public if self._store else ""

    @property
    def root(self) -> bytes:
        """The newest root metadata: what boxes are built with."""
        return self._roots[max(self._roots)]

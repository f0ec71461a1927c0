"""Which approvals are worth asking about, so that no flood of them takes a place away from an honest one.

In: the tags that approve, as they are read, and whom to trust. Out: those that may count; why the others do not. Rules:
what nobody on the list can have signed costs no program, and no place. Places are counted for each listed key by
itself, so that whoever makes signatures that look like one person's takes none from another. What OpenPGP signatures
say of themselves is anybody's to write: gpg looks at all that name a listed key, hundreds in one run, before one of
them is asked about; what cannot be read comes last, after all that can.

    worth = Worth(trust, refused)
    for tag in worth.asking(approvals): ...
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gitops.errors import STAYS, Reason, SourceError
from gitops.source.trust.objects import Signed
from gitops.source.trust.pgp import many, packet, ring
from gitops.source.trust.signatures import PGP, Trust, names
from gitops.source.trust.ssh import sshsig

MAX_APPROVALS = 64
"""So many approvals by each listed key are asked about."""
MAX_CLAIMS = 20_000
"""So many OpenPGP signatures that name a listed key are looked at: half a minute of gpg's time."""


@dataclass(frozen=True)
class Worth:
    """Sorts approvals. `refused`: why others do not count is put there."""

    trust: Trust
    refused: list[SourceError]
    _places: Counter[object] = field(default_factory=Counter)
    _late: list[Signed] = field(default_factory=list)

    def asking(self, approvals: Iterable[Signed | SourceError]) -> Iterator[Signed]:
        """Those that may count. Raises ProcessError: gpg gave no answer."""
        openpgp = list[Signed]()
        size = looked_at = 0
        for tag in approvals:
            if isinstance(tag, SourceError):
                self.refused.append(tag)
            elif not tag.signature or not self.trust.knows(tag) or self.trust.doubts(tag):
                self.refused.append(_of_nobody(tag, self.trust))
            elif not tag.signature.startswith(PGP):
                yield from self._place(self._line(tag), tag)
            elif packet.read(tag.signature) is None:
                self._late.extend(self._place("", tag))  # it may be anybody's
            elif looked_at < MAX_CLAIMS:
                openpgp, size, looked_at = [*openpgp, tag], size + len(tag.payload), looked_at + 1
                if len(openpgp) == many.TOGETHER or size > many.BYTES:
                    yield from self._good(openpgp)
                    openpgp, size = [], 0
        yield from self._good(openpgp)
        yield from self._late

    def _good(self, openpgp: list[Signed]) -> Iterator[Signed]:
        """Those that gpg calls good, in one run."""
        if not openpgp:
            return
        try:
            found = many.verdicts(openpgp, ring.of(self.trust.openpgp))
        except SourceError as error:  # a key file without a key: nothing that OpenPGP signs counts
            self.refused.append(error)
            return
        for tag, key in zip(openpgp, found, strict=True):
            if isinstance(key, SourceError):
                self.refused.append(key)
            else:
                yield from self._place(key, tag)

    def _place(self, key: object, tag: Signed) -> Iterator[Signed]:
        self._places[key] += 1
        if self._places[key] <= MAX_APPROVALS:
            yield tag

    def _line(self, tag: Signed) -> bytes:
        """The listed key, or authority, by which it would count."""
        claim = sshsig.read(tag.signature)
        lines = claim.lines(self.trust.lines()) if claim else []
        return lines[0].blob if lines else b""


def _of_nobody(tag: Signed, trust: Trust) -> SourceError:
    """Why an approval does not count that nobody on the list can have signed; no program is asked."""
    if not tag.signature.startswith(PGP):
        try:
            names(tag, trust)
        except SourceError as error:
            return error
    return SourceError(f"{tag.name} is signed by an unknown key", hint=STAYS, reason=Reason.unknown_key)

"""Who signed a commit or tag: SSH signatures (OpenSSH's PROTOCOL.sshsig, namespace `git`) and OpenPGP ones.

In: a `Signed` object, and whom we trust: an allowed_signers file (ssh-keygen(1)), keys that were revoked, OpenPGP key
files. Out: the principals' names. A key must be valid now (or `at` a time), not at the date that a commit claims.
"""

import re
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gitops.errors import STAYS, Reason, SourceError
from gitops.fleet.keys.files import Keys
from gitops.fleet.keys.listed import Line, groups, lines, one_person
from gitops.fleet.keys.proof import KRL, Proof
from gitops.model import Tree
from gitops.source.trust import openpgp
from gitops.source.trust.objects import Signed
from gitops.source.trust.ssh import keygen, quick, sshsig

SSH, PGP = b"-----BEGIN SSH SIGNATURE-----", b"-----BEGIN PGP "


MAX_SIGNATURE = 64 << 10
"""Bytes of a signature: a long one has 2 KiB."""
_ARMOUR = re.compile(
    rb"-----BEGIN (SSH SIGNATURE|PGP SIGNATURE|PGP MESSAGE)-----[ \t]*\r?\n(?:(?!-----).*\n)+-----END \1-----\s*"
)


@dataclass(frozen=True)
class Trust:
    """Whom we believe. `openpgp` are (name, key file); `revoked` are SSH public keys; `place` is where it is said."""

    ssh: bytes = b""
    openpgp: tuple[tuple[str, bytes], ...] = ()
    revoked: bytes = b""
    place: str = "`allowed_signers` in toweros.toml"

    def __bool__(self) -> bool:
        lines = (line.strip() for line in self.ssh.splitlines())
        return bool(self.openpgp) or any(line and not line.startswith(b"#") for line in lines)

    def names(self) -> set[str]:
        """Everybody who is listed."""
        return Keys(self.ssh, self.revoked, self.openpgp).names()

    def within(self, other: "Trust") -> bool:
        """Somebody is listed here, and nobody who is not there; whatever is revoked there is revoked here."""
        fewer = _texts(self.ssh) <= _texts(other.ssh) and set(self.openpgp) <= set(other.openpgp)
        return bool(self) and fewer and self._revokes(other.revoked)

    def _revokes(self, other: bytes) -> bool:
        """Whether all that another file revokes is revoked here; of a binary one only itself says so."""
        if self.revoked.startswith(KRL) or other.startswith(KRL):
            return other in (b"", self.revoked)
        return _texts(other) <= _texts(self.revoked)

    def prove(self) -> Proof:
        """Whose signature would count today."""
        return Keys(self.ssh, self.revoked, self.openpgp).prove()

    def readable(self) -> "Trust":
        """Without what locks everybody out: damaged lines of the revoked keys, and files that hold no OpenPGP key."""
        proof = self.prove()
        revoked = enumerate(self.revoked.split(b"\n"), 1)
        good = b"\n".join(text for number, text in revoked if number not in proof.broken)
        if self.revoked.startswith(KRL):
            good = b"" if proof.broken else self.revoked
        bad = {fault.name for fault in proof.faults if not fault.line}
        return replace(self, revoked=good, openpgp=tuple(each for each in self.openpgp if each[0] not in bad))

    def lines(self) -> list[Line]:
        """The lines of the allowed_signers file."""
        return lines(self.ssh)

    def people(self) -> dict[str, str]:
        """Who is who: each name's person. One key under two names, and one name with two keys, are one."""
        return one_person(self.groups())

    def groups(self) -> list[tuple[str, ...]]:
        """What says that two are one."""
        return [*groups(self.lines()), *openpgp.identities(self.openpgp)]

    def knows(self, signed: Signed) -> bool:
        """Whether its key may be listed: what is not worth asking ssh-keygen and gpg, whoever pushed how many."""
        if signed.signature.startswith(PGP):
            with suppress(SourceError):  # a file without a key is told of what may have been signed by it
                return bool(self.openpgp) and openpgp.claims(signed.signature, self.openpgp)
            return True
        claim = sshsig.read(signed.signature)
        return claim is not None and bool(claim.lines(self.lines()))

    def doubts(self, signed: Signed) -> bool:
        """Whether it is sure, and costs nothing to say, that it does not count."""
        claim = sshsig.read(signed.signature) if signed.signature.startswith(SSH) else None
        if claim is None:
            return False
        lines, now = claim.lines(self.lines()), time.time()
        if not claim.whole or keygen.hopeless(claim, lines, now):
            return True
        return quick.doubt(claim, signed.payload, lines, self.revoked, now) is not None

    def also(self, signed: Signed) -> set[str]:
        """Names under which the key of its certificate is listed by itself: limits hold for them, too."""
        claim = sshsig.read(signed.signature)
        plain = claim.key if claim and claim.certificate else b""
        return {name for line in self.lines() if plain and line.blob == plain for name in line.names}

    def or_else(self, first: "Trust") -> "Trust":
        """`first` where nobody is listed here; a key that is revoked here counts there no more, either."""
        return self if self else replace(first, revoked=self.revoked)

    def joined(self, other: "Trust") -> "Trust":
        """Whoever is listed in one of them."""
        return replace(self, ssh=self.ssh + b"\n" + other.ssh, openpgp=self.openpgp + other.openpgp)

    @classmethod
    def of_files(cls, allowed: Path | None, folder: Path | None = None) -> "Trust":
        """The controller's settings: the first trust."""
        keys = sorted(folder.glob("*.asc")) if folder else []
        ssh = allowed.read_bytes() if allowed and allowed.is_file() else b""
        place = str(allowed or folder) if allowed or folder else cls.place
        return cls(ssh, tuple((key.stem, key.read_bytes()) for key in keys), place=place)

    @classmethod
    def of_tree(cls, tree: Tree) -> "Trust":
        """What a fleet repo says in keys/."""
        keys = Keys.of(tree)
        return cls(keys.allowed, keys.openpgp, keys.revoked, "the fleet repo's keys/")


def _texts(data: bytes) -> set[str]:
    """The lines of a list, but for comments."""
    return {line.text.strip() for line in lines(data)}


@dataclass(frozen=True)
class FirstKeys:
    """The settings' first keys: an allowed_signers file, and a folder (or file) of OpenPGP keys."""

    allowed_signers: Path | None = None
    openpgp: Path | None = None

    @property
    def named(self) -> bool:
        """The settings name some, whether they are there or not."""
        return bool(self.allowed_signers or self.openpgp)

    def trust(self) -> Trust:
        """What is in them now."""
        return Trust.of_files(self.allowed_signers, self.openpgp)

    def stamp(self) -> object:
        """Changes when they do: a refused commit then deserves another look."""
        places = [place for place in (self.allowed_signers, self.openpgp) if place]
        files = [path for place in places for path in ([place] if place.is_file() else place.glob("*"))]
        return tuple(sorted((str(path), path.stat().st_mtime_ns) for path in files))


def signer(signed: Signed, trust: Trust, at: int | None = None) -> str:
    """The name of who signed it: the first of `names`."""
    return names(signed, trust, at)[0]


def names(signed: Signed, trust: Trust, at: int | None = None) -> tuple[str, ...]:
    """All names under which the key that signed it is listed. `at`: Unix seconds at which it must be valid; None: now.

    Raises:
        SourceError: unsigned, signed by a key that is not allowed (any more), or the signature is bad or damaged; with
            a `reason`.
    """
    name = signed.name
    if not trust:
        hint = f"list who may deploy there; {STAYS}"
        raise SourceError(
            f"{name} must be signed, and {trust.place} names nobody", hint=hint, reason=Reason.nobody_trusted
        )
    if not signed.signature:
        way = "git tag -s" if signed.kind == "tag" else "git commit -S"
        raise SourceError(f"{name} is unsigned", hint=f"sign it with `{way}`; {STAYS}", reason=Reason.unsigned)
    _check_armour(signed)
    if signed.signature.startswith(PGP):
        if not openpgp.claims(signed.signature, trust.openpgp):
            raise SourceError(f"{name} is signed by an unknown key", hint=STAYS, reason=Reason.unknown_key)
        return openpgp.check(name, signed.signature, signed.payload, trust.openpgp, at)
    if sshsig.read(signed.signature) is None:
        raise keygen.bad(name, "it is damaged")
    if not trust.knows(signed):
        raise keygen.refusal(name, trust.place, Reason.unknown_key, "an unknown key")
    return keygen.check(signed, keygen.Listed(trust.ssh, trust.revoked, trust.place), at)


def _check_armour(signed: Signed) -> None:
    """One signature from its first line to its last, and nothing else: ssh-keygen and gpg read over what is around it.

    Raises:
        SourceError: it is none.
    """
    signature = signed.signature
    if not signature.startswith((SSH, PGP)):
        hint = f"sign with an SSH or OpenPGP key; {STAYS}"
        raise SourceError(f"{signed.name} has a signature of an unknown kind", hint=hint, reason=Reason.bad_signature)
    if signature.count(b"\n-----BEGIN "):
        message = f"{signed.name} has more than one signature"
        raise SourceError(message, hint=STAYS, reason=Reason.several_signatures)
    if len(signature) > MAX_SIGNATURE:
        raise keygen.bad(signed.name, f"it has more than {MAX_SIGNATURE >> 10} KiB")
    if not _ARMOUR.fullmatch(signature):
        raise keygen.bad(signed.name, "it is cut off, or something follows it")


def mark(signed: Signed) -> str:
    """Stands for the SSH key that signed it, whatever names it has; empty: none did."""
    claim = sshsig.read(signed.signature) if signed.signature.startswith(SSH) else None
    return claim.mark if claim else ""

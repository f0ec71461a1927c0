"""Who signed a commit or tag: SSH signatures (OpenSSH's PROTOCOL.sshsig, namespace `git`) and OpenPGP ones.

In: a `Signed` object, and whom we trust: an allowed_signers file (ssh-keygen(1)), keys that were revoked, OpenPGP key
files. Out: the principals' names. A key must be valid now (or `at` a time), not at the date that a commit claims.
"""

import base64
import binascii
import re
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gitops.errors import STAYS, ProcessError, Reason, SourceError
from gitops.fleet.keys.files import Keys
from gitops.fleet.keys.listed import Line, groups, lines, one_person
from gitops.fleet.keys.proof import Proof
from gitops.model import Tree
from gitops.process import run
from gitops.source.trust import openpgp
from gitops.source.trust.objects import Signed

NAMESPACE = "git"
SSH, PGP = b"-----BEGIN SSH SIGNATURE-----", b"-----BEGIN PGP "
TIMEOUT = 30.0
"""Seconds for one call of ssh-keygen."""
ALWAYS = {"valid-after": "19700102", "valid-before": "20991231"}


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
        return bool(self) and fewer and _texts(other.revoked) <= _texts(self.revoked)

    def prove(self) -> Proof:
        """Whose signature would count today."""
        return Keys(self.ssh, self.revoked, self.openpgp).prove()

    def readable(self) -> "Trust":
        """Without what locks everybody out: damaged lines of the revoked keys, and files that hold no OpenPGP key."""
        proof = self.prove()
        revoked = enumerate(self.revoked.split(b"\n"), 1)
        good = b"\n".join(text for number, text in revoked if number not in proof.broken)
        bad = {fault.name for fault in proof.faults if not fault.line}
        return replace(self, revoked=good, openpgp=tuple(each for each in self.openpgp if each[0] not in bad))

    def lines(self) -> list[Line]:
        """The lines of the allowed_signers file."""
        return lines(self.ssh)

    def people(self) -> dict[str, str]:
        """Who is who: each name's person. One key under two names, and one name with two keys, are one."""
        return one_person([*groups(self.lines()), *openpgp.identities(self.openpgp)])

    def knows(self, signed: Signed) -> bool:
        """Whether its key may be listed: what is not worth asking ssh-keygen and gpg, whoever pushed how many."""
        if signed.signature.startswith(PGP):
            return bool(self.openpgp)
        key, listed = _key(signed.signature), self.lines()
        return bool(key) and any(line.authority or line.blob == key for line in listed)

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
        SourceError: unsigned, signed by a key that is not allowed (any more), or the signature is bad; with a `reason`.
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
    if signed.signature.startswith(PGP):
        return openpgp.check(name, signed.signature, signed.payload, trust.openpgp, at)
    if not signed.signature.startswith(SSH):
        hint = f"sign with an SSH or OpenPGP key; {STAYS}"
        raise SourceError(f"{name} has a signature of an unknown kind", hint=hint, reason=Reason.bad_signature)
    with tempfile.TemporaryDirectory(prefix="toweros-") as folder:
        return _Ssh(Path(folder), signed, trust, at).principals()


def _key(signature: bytes) -> bytes:
    """The public key that an SSH signature says it is of (OpenSSH's PROTOCOL.sshsig); empty: it says none."""
    try:
        blob = base64.b64decode(b"".join(signature.split(b"\n")[1:-1]).partition(b"-")[0])
    except binascii.Error:
        return b""
    # SSHSIG, a version of four bytes, a length of four.
    return blob[14 : 14 + int.from_bytes(blob[10:14])] if blob.startswith(b"SSHSIG") else b""


class _Ssh:
    """One signature before ssh-keygen, with its files in a folder."""

    def __init__(self, folder: Path, signed: Signed, trust: Trust, at: int | None) -> None:
        self._folder, self._signed, self._trust = folder, signed, trust
        for name, data in {"signature": signed.signature, "revoked": trust.revoked, "allowed": trust.ssh}.items():
            (folder / name).write_bytes(data)
        self._when = [f"-Overify-time={datetime.fromtimestamp(at, UTC):%Y%m%d%H%M%S}"] if at is not None else []

    def principals(self) -> tuple[str, ...]:
        name = self._signed.name
        if not self._trust.knows(self._signed):
            raise self._refusal(Reason.unknown_key, "an unknown key")
        # Good at all, whoever made it? find-principals looks at the key alone, not at what was signed.
        if self._run("check-novalidate", "-n", NAMESPACE) is None:
            raise SourceError(
                f"{name} has a bad signature", hint=f"sign it again; {STAYS}", reason=Reason.bad_signature
            )
        principals = self._verify("allowed", bool(self._trust.revoked.strip()))
        if principals:
            return principals
        raise self._refusal(*self._why_not())

    def _refusal(self, reason: Reason, why: str) -> SourceError:
        hint = f"allow it in {self._trust.place}, or not; {STAYS}"
        return SourceError(f"{self._signed.name} is signed by {why}", hint=hint, reason=reason)

    def _why_not(self) -> tuple[Reason, str]:
        if self._trust.revoked.strip() and self._verify("allowed", False):
            return Reason.revoked_key, "a revoked key"
        # ssh-keygen says the same of an expired key as of an unknown one: ask again without the dates.
        ever = re.sub(
            r'(?i)(valid-(?:after|before))=("[^"]*"|[^,\s]*)',
            lambda match: f'{match[1]}="{ALWAYS[match[1].lower()]}"',
            self._trust.ssh.decode(errors="replace"),
        )
        (self._folder / "ever").write_text(ever)
        if self._verify("ever", False):
            return Reason.expired_key, f"a key that {self._trust.place} does not allow now (expired, or not valid yet)"
        return Reason.unknown_key, "an unknown key"

    def _verify(self, allowed: str, revoked: bool) -> tuple[str, ...]:
        """The principals of the file that the signature is good for."""
        listed = self._run("find-principals", "-f", self._folder / allowed, *self._when)
        if not listed:
            return ()
        # find-principals reads no further than the first line that fits; the key may stand in others, too.
        key = _key(self._signed.signature)
        more = [name for line in self._trust.lines() if line.blob == key for name in line.names]
        candidates = dict.fromkeys([*listed.decode(errors="replace").splitlines(), *more])
        return tuple(name for name in candidates if self._good_for(name, allowed, revoked))

    def _good_for(self, principal: str, allowed: str, revoked: bool) -> bool:
        # `verify` wants to be given the name that it is to confirm.
        words = ["-f", self._folder / allowed, "-I", principal, "-n", NAMESPACE, *self._when]
        return self._run("verify", *words, *(("-r", self._folder / "revoked") if revoked else ())) is not None

    def _run(self, verb: str, *words: object) -> bytes | None:
        command = ["ssh-keygen", "-Y", verb, *map(str, words), "-s", str(self._folder / "signature")]
        try:
            return run(command, stdin=self._signed.payload, timeout=TIMEOUT)
        except ProcessError as error:
            if error.code is None:
                raise  # no verdict on the signature
            return None

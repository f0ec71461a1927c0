"""SSH signatures before ssh-keygen: of listed keys, and of certificates that a listed authority made.

In: a `Signed`, an allowed_signers file and what is revoked. Out: the principals. Rules: ssh-keygen has the last word on
every one; what it never asks of a certificate is asked here first: critical options, SHA-1, patterns as names. A
certificate is held against the lines of its authority alone.
"""

import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gitops.errors import STAYS, ProcessError, Reason, SourceError
from gitops.fleet.keys.listed import Line, lines
from gitops.process import run
from gitops.source.trust.objects import Signed
from gitops.source.trust.ssh import quick, sshsig
from gitops.source.trust.ssh.sshsig import Certificate, Claim

NAMESPACE = "git"
TIMEOUT = 30.0
"""Seconds for one call of ssh-keygen."""
OUTSIDE = "a certificate that is not valid now (expired, or not valid yet)"
ALWAYS = {"valid-after": "19700102", "valid-before": "20991231"}


@dataclass(frozen=True)
class Listed:
    """Who may sign. `revoked`: SSH public keys, or a key revocation list; `place` is where it is said."""

    allowed: bytes
    revoked: bytes
    place: str


def check(signed: Signed, listed: Listed, at: int | None) -> tuple[str, ...]:
    """The names under which its key is listed, or for which its certificate vouches. `at`: Unix seconds; None: now.

    Raises:
        SourceError: with a `reason`.
    """
    claim = sshsig.read(signed.signature)
    if claim is None or not claim.whole:
        raise bad(signed.name, "it is damaged")
    _check_quickly(signed, listed, claim, at)
    with tempfile.TemporaryDirectory(prefix="toweros-") as folder:
        return _Question(Path(folder), signed, listed, claim, at).principals()


def _check_quickly(signed: Signed, listed: Listed, claim: Claim, at: int | None) -> None:
    """Raises SourceError for what needs no program to be refused."""
    now = time.time() if at is None else at
    if why_not := hopeless(claim, claim.lines(lines(listed.allowed)), now):
        raise refusal(signed.name, listed.place, *why_not)
    reason = quick.doubt(claim, signed.payload, claim.lines(lines(listed.allowed)), listed.revoked, now)
    if reason is Reason.bad_signature:
        raise bad(signed.name)
    if reason is Reason.expired_key:
        why = f"a key that {listed.place} does not allow now (expired, or not valid yet)"
        raise refusal(signed.name, listed.place, reason, why)
    if reason is Reason.revoked_key:
        raise refusal(signed.name, listed.place, reason, "a revoked key")


def refusal(name: str, place: str, reason: Reason, why: str, again: float | None = None) -> SourceError:
    """What is signed by somebody who may not."""
    hint = f"allow it in {place}, or not; {STAYS}"
    return SourceError(f"{name} is signed by {why}", hint=hint, reason=reason, again=again)


def bad(name: str, how: str = "") -> SourceError:
    """What nobody can have signed as it is."""
    message = f"{name} has a bad signature{how and ': '}{how}"
    return SourceError(message, hint=f"sign it again; {STAYS}", reason=Reason.bad_signature)


class _Question:
    """One signature, with its files in a folder."""

    def __init__(self, folder: Path, signed: Signed, listed: Listed, claim: Claim, at: int | None) -> None:
        self._folder, self._signed, self._listed, self._claim = folder, signed, listed, claim
        self._lines = claim.lines(lines(listed.allowed))
        # A certificate must not count by a line that has to do with another key: `verify` reads on until one fits.
        own = "".join(f"{line.text}\n" for line in self._lines).encode()
        allowed = own if claim.certificate else listed.allowed
        for name, data in {"signature": signed.signature, "revoked": listed.revoked, "allowed": allowed}.items():
            (folder / name).write_bytes(data)
        self._when = [f"-Overify-time={datetime.fromtimestamp(at, UTC):%Y%m%d%H%M%SZ}"] if at is not None else []
        self._now = int(time.time()) if at is None else at

    def principals(self) -> tuple[str, ...]:
        # Good at all, whoever made it? find-principals looks at the key alone, not at what was signed.
        if self._run("check-novalidate", "-n", NAMESPACE) is None:
            raise bad(self._signed.name)
        if self._claim.untouched:
            raise bad(self._signed.name, "a security key made it that nobody touched")
        certificate = self._claim.certificate
        principals = self._verify("allowed", self._revocable)
        if principals:
            return principals
        raise self._refusal(*(self._why_no_certificate(certificate) if certificate else self._why_no_key()))

    def _refusal(self, reason: Reason, why: str) -> SourceError:
        begins = self._begins() if reason is Reason.expired_key else None
        return refusal(self._signed.name, self._listed.place, reason, why, begins)

    def _begins(self) -> float | None:
        """When the first of its lines that are not valid yet becomes so, and its certificate."""
        lines = [line.after for line in self._lines if line.after is not None and line.after > self._now]
        certificate = self._claim.certificate
        own = [certificate.after] if certificate and certificate.after > self._now else []
        return min([*lines, *own], default=None)

    @property
    def _revocable(self) -> bool:
        return bool(self._listed.revoked.strip())

    def _why_no_key(self) -> tuple[Reason, str]:
        if self._revocable and self._verify("allowed", False):
            return Reason.revoked_key, "a revoked key"
        if self._ever():
            return (
                Reason.expired_key,
                f"a key that {self._listed.place} does not allow now (expired, or not valid yet)",
            )
        return Reason.unknown_key, "an unknown key"

    def _why_no_certificate(self, certificate: Certificate) -> tuple[Reason, str]:
        if self._revocable and self._verify("allowed", False):
            return Reason.revoked_key, "a revoked certificate (or key, or authority)"
        if self._now < certificate.after:
            return Reason.expired_key, OUTSIDE
        if self._ever():
            where = self._listed.place
            return Reason.expired_key, f"a certificate of an authority that {where} does not allow now"
        return Reason.unknown_key, "a certificate of an authority that may not sign here"

    def _ever(self) -> bool:
        """ssh-keygen says the same of an expired key as of an unknown one: ask again without the dates."""
        ever = re.sub(
            r'(?i)(valid-(?:after|before))=("[^"]*"|[^,\s]*)',
            lambda match: f'{match[1]}="{ALWAYS[match[1].lower()]}"',
            (self._folder / "allowed").read_text(errors="replace"),
        )
        (self._folder / "ever").write_text(ever)
        return bool(self._verify("ever", False))

    def _names(self) -> list[str]:
        """Those whom the certificate names, and its authority may certify."""
        certificate = self._claim.certificate
        named = certificate.names if certificate else ()
        return [name for name in named if any(line.vouches(name) for line in self._lines)]

    def _verify(self, allowed: str, revoked: bool) -> tuple[str, ...]:
        """The principals of the file that the signature is good for."""
        if self._claim.certificate:
            return tuple(name for name in self._names() if self._good_for(name, allowed, revoked))
        listed = self._run("find-principals", "-f", self._folder / allowed, *self._when)
        if not listed:
            return ()
        # find-principals reads no further than the first line that fits; the key may stand in others, too.
        more = [name for line in self._lines for name in line.names]
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


def hopeless(claim: Claim, listed: Sequence[Line], now: float) -> tuple[Reason, str] | None:
    """Why a certificate counts for nothing, whoever signed what with it: asked without a program, as floods cost none.
    `listed`: the lines of its authority."""
    certificate = claim.certificate
    if certificate is None:
        return None
    if unfit := _unfit(certificate):
        return unfit
    if certificate.before <= now:
        return Reason.expired_key, OUTSIDE
    if not any(line.vouches(name) for line in listed for name in certificate.names):
        what = _shown(certificate.principals)
        return Reason.wrong_principal, f"a certificate for {what}, whom its authority may not certify"
    return None


def _unfit(certificate: Certificate) -> tuple[Reason, str] | None:
    """What ssh-keygen does not ask of a certificate, or calls by no name of its own."""
    if certificate.kind != sshsig.USER:
        return Reason.host_certificate, "a host's certificate, which is nobody's signature"
    if certificate.options:
        # Whoever does not know one must refuse the certificate (PROTOCOL.certkeys), and none of them is on signatures.
        what = _shown(certificate.options)
        return Reason.critical_option, f"a certificate with the critical option {what}, which no signature can keep to"
    if certificate.weak:
        return Reason.weak_certificate, "a certificate that is signed with SHA-1"
    if len(certificate.principals) > sshsig.MAX_PRINCIPALS:
        return Reason.wrong_principal, f"a certificate for more than {sshsig.MAX_PRINCIPALS} names"
    if not certificate.names:
        return Reason.wrong_principal, f"a certificate for {_shown(certificate.principals)}: that names nobody"
    return None


def _shown(names: Iterable[str]) -> str:
    """A few of somebody's words, fit for a line of text."""
    said = ", ".join(repr(name)[1:-1][:100] for name in list(names)[:3])
    return said or "no name"

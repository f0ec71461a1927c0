"""Whose signature would count today, as ssh-keygen and gpg themselves say.

In: an allowed_signers file, revoked keys, OpenPGP key files. Out: each key's names, or why it is good for nothing.
Rules: nobody's private key is here, so ssh-keygen judges a signature by a key of our own, put in the place of each
listed one: names, namespaces and dates stay as they are; in the place of an authority it certifies another. That the
listed key is one, and not revoked, is asked apart.

    prove(b'ada namespaces="git" ssh-ed25519 AAAA...', b"", ()).able      # [("ada",)]
"""

import re
import tempfile
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from gitops.errors import ProcessError
from gitops.fleet.keys import gpg
from gitops.fleet.keys.listed import TYPE, Line, lines
from gitops.process import run

NAMESPACE = "git"
WORDS = b"who could sign?\n"
TIMEOUT = 30.0
"""Seconds for one call of ssh-keygen."""
MAX_KEYS, MAX_FILES, MAX_FILE = 500, 64, 256 << 10
"""Keys of a list, OpenPGP files, and bytes of one: a stranger's pull request is asked about, too."""
MAX_LINE = 16 << 10
"""Bytes: ssh-keygen(1) reads 8 KiB of a key."""
HOLDS = 600
"""Seconds until the same list is asked about again, unless one of its dates comes before."""
MAX_AUTHORITIES = 32
"""Lines of authorities: each is asked about by a certificate of our own."""
REVOKED = "the key is revoked"
KRL = b"SSHKRL\n\0"
"""What a key revocation list of ssh-keygen -k begins with (OpenSSH's PROTOCOL.krl)."""
_KEY = re.compile(rf"{TYPE}\s+[A-Za-z0-9+/=]+(\s|$)")
_PASSING = ("expired", "not yet valid")
"""Words of ssh-keygen about what time alone has changed, or will."""


@dataclass(frozen=True)
class Fault:
    """Why a key is good for nothing. `line` is 0 for an OpenPGP file, whose `name` it is. `passing`: by its time;
    `withdrawn`: because somebody revoked it, so it is no mistake."""

    line: int
    name: str
    why: str

    @property
    def passing(self) -> bool:
        return any(word in self.why for word in _PASSING)

    @property
    def withdrawn(self) -> bool:
        return self.why == REVOKED


@dataclass
class Proof:
    """`able`: the names of each key that could sign now, and each name that an authority may certify; `open`: those for
    whole patterns of names; `broken`: lines of the revoked keys that are no key, 0 for a whole revocation list."""

    able: list[tuple[str, ...]] = field(default_factory=list)
    open: list[Line] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)

    @property
    def unbounded(self) -> bool:
        """Somebody may certify as many people as are asked for."""
        return bool(self.open)

    def can(self, name: str) -> bool:
        """Whether somebody of this name could sign now."""
        return any(name in names for names in self.able) or any(line.vouches(name) for line in self.open)

    def add(self, line: Line) -> None:
        """A line that counts: people under one name each are whom an authority vouches for."""
        if not line.authority:
            self.able.append(line.names)
            return
        self.able += [(name,) for name in line.literal if line.vouches(name)]
        self.open += [line] if line.patterns else []


def prove(allowed: bytes, revoked: bytes, openpgp: tuple[tuple[str, bytes], ...]) -> Proof:
    """Ask about every key that is listed.

    Raises:
        ProcessError: ssh-keygen or gpg is not here, or gave no answer.
    """
    now = time.time()
    valid = tuple((line.after or 0) <= now < (line.before or now + 1) for line in lines(allowed))
    return _prove(allowed, revoked, openpgp, (int(now) // HOLDS, valid))


@lru_cache(maxsize=32)
def _prove(allowed: bytes, revoked: bytes, openpgp: tuple[tuple[str, bytes], ...], _when: object) -> Proof:
    proof = Proof()
    listed = lines(allowed)
    if listed or revoked.strip():
        with tempfile.TemporaryDirectory(prefix="toweros-") as folder:
            _Ssh(Path(folder), proof).ask(listed, revoked)
    for name, key in openpgp:
        why = gpg.unusable(key)
        if why:
            proof.faults.append(Fault(0, name, why))
        else:
            proof.able.append((name,))
    return proof


class _Ssh:
    """Lines before ssh-keygen, with its files in a folder."""

    def __init__(self, folder: Path, proof: Proof) -> None:
        self._folder, self._proof = folder, proof

    def ask(self, listed: list[Line], revoked: bytes) -> None:
        keys = self._keys({line.number: line.key for line in listed if line.key})
        gone = self._gone([line for line in listed if line.number in keys], revoked)
        self._sign()
        for line in listed:
            why = self._why_not(line, keys, gone)
            if why:
                self._proof.faults.append(Fault(line.number, line.names[0] if line.names else "", why))
            else:
                self._proof.add(line)

    def _gone(self, listed: list[Line], revoked: bytes) -> set[int]:
        """The lines whose key is revoked, by a list of keys or by one of ssh-keygen -k."""
        if revoked.startswith(KRL):
            (self._folder / "krl").write_bytes(revoked)
            self._proof.broken = [] if self._run("-Q", "-l", "-f", self._folder / "krl")[0] else [0]
            return set() if self._proof.broken else self._revoked(listed)
        texts = dict(enumerate(revoked.decode(errors="replace").split("\n"), 1))
        texts = {number: text for number, text in texts.items() if text.strip() and not text.lstrip().startswith("#")}
        good = self._keys({number: text.strip() for number, text in texts.items()})
        self._proof.broken = sorted(texts.keys() - good)
        if not good:
            return set()
        (self._folder / "revoked").write_text("\n".join(texts[number] for number in sorted(good)) + "\n")
        self._run("-q", "-k", "-f", self._folder / "krl", self._folder / "revoked")
        return self._revoked(listed)

    def _keys(self, texts: dict[int, str]) -> set[int]:
        """The numbers of those texts that ssh-keygen takes for public keys; each keeps its number as a comment."""
        rows = [" ".join([*text.split()[:2], f"line-{number}"]) for number, text in texts.items() if _looks(text)]
        if not rows:
            return set()
        (self._folder / "keys").write_text("\n".join(rows) + "\n")
        talk = self._run("-l", "-f", self._folder / "keys")[1]
        words = (word for line in talk.split("\n") for word in line.split())
        return {int(word.removeprefix("line-")) for word in words if word.startswith("line-")}

    def _revoked(self, listed: list[Line]) -> set[int]:
        """The lines whose key is in the revocation list."""
        files = []
        for line in listed:  # keys, all of them: at another the whole question is given up
            files.append(self._folder / f"key-{line.number}")
            files[-1].write_text(line.key + "\n")
        talk = self._run("-Q", "-f", self._folder / "krl", *files)[1] if files else ""
        gone = [said.partition(" ")[0] for said in talk.split("\n") if said.endswith(": REVOKED")]
        return {int(Path(file.rstrip(":")).name.removeprefix("key-")) for file in gone}

    def _sign(self) -> None:
        """A signature by a key of our own, which takes the place of the listed ones."""
        (self._folder / "words").write_bytes(WORDS)
        self._own = self._key("own")
        self._by_own = self._signed("own")

    def _key(self, name: str) -> str:
        """A new key; its public half."""
        self._run("-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self._folder / name)
        return (self._folder / f"{name}.pub").read_text().strip()

    def _signed(self, key: str) -> Path:
        """A signature by a key, or a certificate, of ours."""
        signature = self._folder / "words.sig"
        self._run("-Y", "sign", "-q", "-f", self._folder / key, "-n", NAMESPACE, self._folder / "words")
        return signature.rename(self._folder / f"{key}.sig")

    def _certified(self, name: str) -> Path:
        """A signature by somebody of this name, for whom our key vouches as the listed authority would."""
        who = f"subject-{len(list(self._folder.glob('subject-*')))}"
        self._key(who)
        self._run("-q", "-s", self._folder / "own", "-I", who, "-n", name, self._folder / f"{who}.pub")
        return self._signed(f"{who}-cert.pub")

    def _why_not(self, line: Line, keys: set[int], gone: set[int]) -> str:
        """Why a line is good for nothing; empty: ssh-keygen takes it."""
        if not line.names or line.number not in keys or len(line.text) > MAX_LINE:
            return "holds no public key that ssh-keygen can read"
        if line.certificate:
            return "holds a certificate, which would count whatever its dates say"
        name = _somebody(line)
        if not name:
            return "its names fit nobody"
        if line.number in gone:
            return REVOKED
        signature = self._certified(name) if line.authority else self._by_own
        (self._folder / "allowed").write_text(f"{line.lead} {self._own}\n")
        words = ("-f", self._folder / "allowed", "-I", name, "-n", NAMESPACE, "-s", signature)
        good, talk = self._run("-Y", "verify", *words, stdin=WORDS)
        return "" if good else _reason(talk)

    def _run(self, *words: object, stdin: bytes = b"") -> tuple[bool, str]:
        try:
            return True, run(["ssh-keygen", *map(str, words)], stdin=stdin, timeout=TIMEOUT).decode(errors="replace")
        except ProcessError as error:
            if error.code is None:
                raise  # no verdict
            return False, error.log


def _somebody(line: Line) -> str:
    """A name that the line lets sign; empty: there is none."""
    if not line.authority:
        return next((name for name in line.names if not name.startswith("!")), "")
    made = (pattern.replace("*", "somebody").replace("?", "s") for pattern in line.patterns)
    return next((name for name in (*line.literal, *made) if line.vouches(name)), "")


def _looks(text: str) -> bool:
    return len(text) <= MAX_LINE and _KEY.match(text) is not None


def _reason(talk: str) -> str:
    """ssh-keygen's own words, without its file: `FILE:LINE: why`."""
    said = [line.split(": ", 1)[1] for line in talk.split("\n") if ": " in line and "allowed:" in line]
    return next(iter(said), "ssh-keygen does not take it")

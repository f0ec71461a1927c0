"""A person asks for logs or a shell of a box: what is judged before anything is signed, and what is written down.

In: the store, the keys folder, the deployed fleet, who asks for what and why. Out: a `Ticket`: by it the person's side
comes in. Rules: what Git does not allow is not signed, whoever asks; a shell needs more of a person than logs; a reason
is given; each session is one certificate, for a key that lives as long; what was asked has a line in the audit log
before anything is signed, and an event before the box can hear of it.

    ticket = ask(Asking(acting, settings.keys, fleet), Wish("site-7", Kind.logs, person, "the mast is silent"))
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gitops.errors import TowerosError
from gitops.model import EventType, Fleet, Happened, sha256
from gitops.model.access.person import EVERYWHERE, Person, may
from gitops.model.access.remote import EACH, LATEST, LIFETIME, NEEDS, Kind, allows, session_of
from gitops.sign.people.authority import Admission, UserAuthority, printable
from gitops.store import Store
from gitops.store.notes.remote import Asked, RemoteSessions
from gitops.workflows.acting.acting import Acting

MOST_REASON = 120
"""Characters."""
KEY, CERTIFICATE = "key", "key-cert.pub"


@dataclass(frozen=True)
class Asking:
    """What is asked of, and who asks."""

    acting: Acting
    keys: Path
    fleet: Fleet


@dataclass(frozen=True)
class Wish:
    """Who wants what of which box, and why."""

    box: str
    kind: Kind
    person: Person
    reason: str


@dataclass(frozen=True)
class Ticket:
    """`session` names it on the server, `token` proves the person's side, `key` and `certificate` are for ssh(1)."""

    session: str
    token: str
    key: bytes
    certificate: str
    until: int

    def write(self, folder: Path) -> Path:
        """Leave key and certificate where ssh finds both; the key's path. `folder` is nobody else's."""
        for name, data in ((KEY, self.key), (CERTIFICATE, f"{self.certificate}\n".encode())):
            with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
        return folder / KEY


def ask(of: Asking, wish: Wish) -> Ticket:
    """Judge, sign, write down.

    Raises:
        TowerosError: the box, Git or the person's rights do not allow it; too many sessions are asked for.
        SignError, TokenError: the authority cannot sign.
        StoreError: it has no line in the audit log.
    """
    reason, now = _reason(wish), of.acting.now
    with of.acting.doing(_what(wish), wish.box, reason) as doing:
        _judge(of.fleet, wish, reason)
        private, token = Ed25519PrivateKey.generate(), secrets.token_urlsafe(32)
        key_id = f"{wish.person.name}: {reason}"
        made = UserAuthority.open(of.keys).admit(private.public_key(), wish.box, wish.kind, key_id, now)
        _write_down(of.acting.store, wish, reason, made, sha256(token.encode()), now)
        doing.outcome = "asked"
    session = f"{wish.box}.{session_of(made.serial)}"
    text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return Ticket(session, token, text, made.certificate, made.until)


def ended(of: Asking, wish: Wish, outcome: str, now: int) -> None:
    """How the session ended, for the record."""
    of.acting.happened(_what(wish), wish.box, _reason(wish), outcome, now)


def _what(wish: Wish) -> str:
    return f"box.{wish.kind}"


def _reason(wish: Wish) -> str:
    return " ".join(wish.reason.split())[:MOST_REASON]


def _judge(fleet: Fleet, wish: Wish, reason: str) -> None:
    box = fleet.boxes.get(wish.box)
    if box is None:
        raise TowerosError(f"there is no box {wish.box}", hint="`toweros status` lists them")
    if not allows(box.remote, wish.kind):
        raise TowerosError(
            f"what is deployed lets nobody have {wish.kind} of {wish.box} (remote: {box.remote or 'none'})",
            hint=f"commit `remote: {wish.kind}` at the box, its role or the fleet; by the network: `toweros box ssh`",
        )
    if not may(wish.person, NEEDS[wish.kind], box.site or EVERYWHERE):
        raise TowerosError(f"{wish.person.name} may not have {wish.kind} of {wish.box}: it needs {NEEDS[wish.kind]}")
    if not reason:
        raise TowerosError("a reason is needed", hint="pass --reason: it is recorded, here and on the box")
    if box.poll > LATEST:
        raise TowerosError(
            f"{wish.box} looks at the server every {box.poll} s: later than a certificate lasts ({LIFETIME} s)",
            hint=f"commit `poll: {LATEST}` or less; or go there by the network: `toweros box ssh`",
        )


def _write_down(store: Store, wish: Wish, reason: str, made: Admission, proof: str, now: int) -> None:
    line = made.certificate.split()[1]
    asked = Asked(made.serial, str(wish.kind), printable(wish.person.name), reason, line, proof, now, made.until)

    def more(note: RemoteSessions) -> RemoteSessions:
        alive = tuple(each for each in note.sessions if not each.over and each.until > now)
        if len(alive) >= EACH:
            raise TowerosError(
                f"{len(alive)} sessions were asked for on {wish.box} just now: {', '.join(each.who for each in alive)}",
                hint=f"end one; else wait: a request ends after {LIFETIME // 60} minutes",
            )
        return RemoteSessions((*alive, asked))

    store.notes.change(RemoteSessions, more, wish.box)
    store.events.add(wish.box, EventType.NORMAL, Happened.REMOTE, f"{asked.who} asks for {asked.kind}: {reason}")

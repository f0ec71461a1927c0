"""Who is logged in: a random word in a cookie, of which the store has the SHA-256 and nothing else.

In: a person who has shown who that is; later, what a cookie holds. Out: a word for a cookie; later, the session. Rules:
a session ends `IDLE` seconds after it was last seen and `LONGEST` after it began, whichever comes first; a person has
`MOST` at a time, the oldest goes; ending one needs nothing but the store, so that it ends on every server at once.

    word = sessions.begin(Person("ada"), "192.0.2.7")
    sessions.get(word)
"""

import secrets
import time
from dataclasses import replace

from gitops.model import sha256
from gitops.model.access.person import Person
from gitops.store import Store
from gitops.store.notes.people import Session
from gitops.workflows.access import kept

IDLE, LONGEST = 3600, 12 * 3600
MOST = 20
SEEN = 60
"""Seconds for which nobody writes down again that a session is used."""
WORD = 43
"""Letters of 32 random bytes."""
clock = time.time


class Sessions:
    """Those of one store."""

    def __init__(self, store: Store) -> None:
        self._notes = store.notes

    def begin(self, person: Person, address: str) -> str:
        """The word for the cookie: always a new one, so that nobody knows it from before."""
        word, now = secrets.token_urlsafe(32), int(clock())
        grants = person.grants if person.how != "account" else ()
        self._notes.put(Session(person.name, person.how, now, now, address[:100], grants), digest(word))
        self._tidy(person, now, digest(word))
        return word

    def get(self, word: str) -> Session | None:
        """None: there is no such session, or it is over."""
        if len(word) != WORD:
            return None
        found, now = kept.one(self._notes, Session, digest(word)), int(clock())
        if found is None or over(found, now):
            return None
        if now - found.seen >= SEEN:
            found = replace(found, seen=now)
            if not self._notes.renew(found, digest(word)):  # it was ended meanwhile
                return None
        return found

    def end(self, word: str) -> None:
        """It is over, if there was one."""
        self._notes.forget(Session, [digest(word)])

    def end_all(self, who: str, how: str = "") -> int:
        """Every session of somebody; how many there were. `how`: only those of people who logged in so."""
        keys = [
            key for key, each in kept.every(self._notes, Session).items() if each.who == who and how in ("", each.how)
        ]
        self._notes.forget(Session, keys)
        return len(keys)

    def of(self, person: Person) -> list[Session]:
        """Those that last, the newest first."""
        now = int(clock())
        own = [
            each
            for each in kept.every(self._notes, Session).values()
            if (each.who, each.how) == (person.name, person.how)
        ]
        return sorted((each for each in own if not over(each, now)), key=lambda each: -each.begun)

    def _tidy(self, person: Person, now: int, new: str) -> None:
        """What is over goes when somebody comes, and so does the oldest of too many."""
        every = kept.every(self._notes, Session)
        own = {key: each for key, each in every.items() if (each.who, each.how) == (person.name, person.how)}
        many = sorted(own, key=lambda key: (key != new, -own[key].begun))[MOST:]
        self._notes.forget(Session, {*many, *(key for key, each in every.items() if over(each, now))})


def over(session: Session, now: int) -> bool:
    """Also where a clock went back behind its beginning: it is not known then how old it is."""
    return not (session.begun - SEEN <= now < session.begun + LONGEST and now < session.seen + IDLE)


def digest(word: str) -> str:
    """The key of a session in the store."""
    return sha256(word.encode(errors="replace"))

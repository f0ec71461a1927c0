"""Local accounts, in the store and never in Git.

In: names, passwords, grants. Out: accounts. Rules: a name is `NAME`; whoever gets another password, or is removed, has
no session any more.

    accounts = Accounts(store)
    accounts.add("ada", "a long sentence", (Grant(Role.operator, "north"),))
    accounts.person("ada")
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from gitops.errors import TowerosError
from gitops.model.access.person import Grant, Person
from gitops.store import Store
from gitops.store.notes.people import Account
from gitops.workflows.access import kept
from gitops.workflows.access.passwords import hashed, matches
from gitops.workflows.access.sessions import Sessions

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
FORM = "small letters, digits, . _ -; at most 63"
MOST = 1000
"""Accounts: more people than that log in by a provider."""
NOBODY = Account("")


class Accounts:
    """Those of one store."""

    def __init__(self, store: Store) -> None:
        self._notes, self._sessions = store.notes, Sessions(store)

    def free(self, name: str) -> None:
        """Raises TowerosError: it cannot be a name, somebody has it, or there are too many."""
        if not NAME.fullmatch(name):
            raise TowerosError(f"{name[:100]!r} is no name of a person", hint=FORM)
        known = self.all()
        if name in known:
            raise TowerosError(f"there is an account {name}", hint=f"toweros people passwd {name}, or rm it first")
        if len(known) >= MOST:
            raise TowerosError(f"there are {MOST} accounts", hint="let people log in by a provider (docs/people.md)")

    def add(self, name: str, password: str, grants: tuple[Grant, ...]) -> None:
        """Raises TowerosError: as `free`; or the password cannot be one."""
        self.free(name)
        now = int(time.time())
        self._notes.put(Account(hashed(password), grants, now, now), name)

    def passwd(self, name: str, password: str) -> None:
        """Another password; every session of before ends. Raises TowerosError."""
        self.known(name)
        new = hashed(password)
        self._renew(name, lambda account: replace(account, password=new, changed=int(time.time())))
        self._sessions.end_all(name, "account")

    def change(self, name: str, present: str, password: str) -> str:
        """Another password in place of the one whose hash is `present`; its hash. Every session of before ends.

        Raises:
            TowerosError: the password cannot be one, or somebody changed it meanwhile.
        """
        new = hashed(password)

        def changed(account: Account) -> Account:
            if account.password != present:
                raise TowerosError("this password was changed just now")
            return replace(account, password=new, changed=int(time.time()))

        self._renew(name, changed)
        self._sessions.end_all(name, "account")
        return new

    def grant(self, name: str, grants: tuple[Grant, ...]) -> None:
        """Other grants, from the next request on. Raises TowerosError."""
        self.known(name)
        self._renew(name, lambda account: replace(account, grants=grants))

    def remove(self, name: str) -> None:
        """Raises TowerosError: there is none of this name."""
        self.known(name)
        self._notes.forget(Account, [name])
        self._sessions.end_all(name, "account")

    def _renew(self, name: str, make: Callable[[Account], Account]) -> None:
        """Put what `make` makes of an account in its place: what somebody else says of it at the same time stays."""

        def made(account: Account) -> Account:
            after = make(account)
            if account == NOBODY:
                raise TowerosError(f"there is no account {name[:100]}", hint="toweros people list")
            return after

        self._notes.change(lambda: NOBODY, made, name)

    def none(self) -> bool:
        """Whether nobody has an account, not even a damaged one."""
        return not self._notes.keys(Account)

    def all(self) -> Mapping[str, Account]:
        return kept.every(self._notes, Account)

    def hash_of(self, name: str) -> str:
        """Of its password; empty: nobody has the name."""
        account = kept.one(self._notes, Account, name) if NAME.fullmatch(name) else None
        return account.password if account else ""

    def check(self, name: str, password: str) -> bool:
        """Whether that is the password of this account; as slow for a name that nobody has."""
        account = kept.one(self._notes, Account, name) if NAME.fullmatch(name) else None
        return matches(account.password if account else None, password)

    def person(self, name: str) -> Person | None:
        """None: there is no such account any more."""
        account = kept.one(self._notes, Account, name) if NAME.fullmatch(name) else None
        return Person(name, account.grants, "account") if account else None

    def known(self, name: str) -> Account:
        """Raises TowerosError: there is none of this name."""
        account = kept.one(self._notes, Account, name) if NAME.fullmatch(name) else None
        if account is None:
            raise TowerosError(f"there is no account {name[:100]}", hint="toweros people list")
        return account

"""Who types a command: the system's user, for the audit log.

In: the process. Out: a `By`. Rules: behind sudo it is who typed that; `--who` is told beside it and proves nothing;
from where is what sshd says of the connection, and else `local`.

    boxes.hold(acting(store, who), "site-7", "the mast is open")
    group.command()(audited("box.revoke", "name")(revoke))
"""

import functools
import os
import pwd
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gitops.cli import context
from gitops.errors import SettingsError, StoreError
from gitops.model.access.by import By

if TYPE_CHECKING:
    from gitops.store import Store
    from gitops.store.audit.log import AuditLog
    from gitops.workflows.acting.acting import Acting

NOBODY = "operator"
"""What `--who` is where nobody said it."""


def by(named: str = "") -> By:
    """Who types."""
    connection = (os.environ.get("SSH_CLIENT") or os.environ.get("SSH_CONNECTION") or "").split()
    return By(_user(), "cli", connection[0] if connection else "local", "" if named == NOBODY else named)


def acting(store: "Store", who: str = "") -> "Acting":
    """`who`: what `--who` said."""
    from gitops.workflows.acting.acting import Acting, audit_log  # takes long to load

    return Acting(store, audit_log(store), by(who), int(time.time()))


def _user() -> str:
    behind = os.environ.get("SUDO_USER", "") if os.geteuid() == 0 else ""
    try:
        return behind or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"


Verb = TypeVar("Verb", bound=Callable[..., Any])


def audited(
    what: str, *subject: str, unless: Sequence[str] = (), keeps: str = "", apart: bool = False, makes: bool = False
) -> Callable[[Verb], Verb]:
    """A verb of which there is a line where there is a controller's state. `subject`: its words that say of what;
    `unless`: options with which it changes nothing; `keeps`: a word without which it does not, either; `apart`: it
    puts another database into the place of this one; `makes`: it makes the state where there is none."""

    def wrap(verb: Verb) -> Verb:
        @functools.wraps(verb)
        def told(**said: Any) -> Any:
            looks = any(said.get(name) for name in unless) or (keeps and not said.get(keeps))
            log = None if looks else _log(said.get("config"), said.get("state"), apart=apart, makes=makes)
            if log is None:
                return verb(**said)
            words = " ".join(_word(said.get(name)) for name in subject).strip()
            act = by(str(said.get("who") or "")).act(what, words, str(said.get("why") or ""), int(time.time()))
            if not log.files.folder.parent.is_dir():  # a state that is about to be made, or a name that was mistyped
                result = verb(**said)
                log.note(act)
                return result
            with log.doing(act):
                return verb(**said)

        return told  # type: ignore[return-value]

    return wrap


def _word(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")


def _log(config: Path | None, state: Path | None, *, apart: bool, makes: bool) -> "AuditLog | None":
    """None: there is no controller's state here, or the verb itself says what is wrong."""
    from gitops.store.audit.log import AuditLog
    from gitops.store.files.layout import Layout

    with suppress(SettingsError):
        settings = context.settings(config, state)
        with suppress(StoreError):
            if not apart and (store := context.existing_store(settings)):
                return AuditLog(store.paths.audit, store.notes)
        if apart or makes or Layout(settings.state).audit.is_dir():
            return AuditLog(Layout(settings.state).audit)  # the database is away, damaged, about to be made or replaced
    return None

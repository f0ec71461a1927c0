"""Beside the loop, by whoever holds the lease: look, gather, send.

In: store and settings. Out: messages at the receivers of the settings. Rules: what is on its way is written down before
it goes, so that a kill loses nothing and repeats nothing: a message that was being sent when its process died may have
arrived, is not sent again, and is an event. What is not taken is tried again, ever more slowly, for `GIVE_UP` seconds;
a receiver that fails costs the others nothing but its own time. Nothing here holds up a pass.

    with notifying(store, settings):
        controller.run_forever(stop)
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from gitops.errors import StoreError, readable
from gitops.model import EventType, Happened
from gitops.settings import Settings
from gitops.settings.receivers import Receiver
from gitops.store import LeaseError, Store
from gitops.store.notes.notices import Notice, Notices, NotifyRules
from gitops.workflows.notifying.gathering import gathered, labels, look
from gitops.workflows.notifying.sending import SendError, send

log = structlog.get_logger(__name__)

EVERY = 5.0
"""Seconds between two looks."""
FIRST, SLOWEST, GIVE_UP = 10, 3600, 86_400
"""Seconds until the second try, doubled for each further one; the longest; until no more."""
Send = Callable[[Receiver, Notice], None]


class Notifier:
    """Of one process, as long as it holds the lease."""

    def __init__(self, store: Store, settings: Settings, deliver: Send = send) -> None:
        self._store, self._deliver = store, deliver
        self._receivers = {each.name: each for each in settings.receivers}
        self._lost()

    def round(self, now: int) -> None:
        """One look, and what is due. Raises StoreError; LeaseError: another one tells from now on."""
        rules = (self._store.notes.get(NotifyRules) or NotifyRules()).rules
        before = self._notices()
        if not rules and before == Notices():
            return
        notices, found = look(self._store, before, now)
        notices = gathered(notices, found, rules, now, labels(self._store, found))
        if notices != before:
            self._store.notes.put(notices)
        failed: set[str] = set()
        for notice in notices.outbox:
            if _due(notice, now) and notice.receiver not in failed and not self._send(notice, now):
                failed.add(notice.receiver)

    def _send(self, notice: Notice, now: int) -> bool:
        """Whether it is done with."""
        receiver = self._receivers.get(notice.receiver)
        if receiver is None:
            return self._drop(notice, f"the settings have no receiver {notice.receiver}")
        self._change(notice, replace(notice, begun=True))
        try:
            self._deliver(receiver, notice)
        except LeaseError:
            raise
        except Exception as caught:  # a token that no header can carry, a port that is none: the others are told
            why = caught.message if isinstance(caught, SendError) else f"unexpected {type(caught).__name__}"
            return self._again(notice, why, now)
        self._change(notice, None)
        return True

    def _again(self, notice: Notice, why: str, now: int) -> bool:
        """Later; or never, after `GIVE_UP` seconds."""
        if now - notice.made > GIVE_UP:
            return self._drop(notice, why)
        pause = min(FIRST << min(notice.tried, 20), SLOWEST)
        self._change(notice, replace(notice, tried=notice.tried + 1, due=now + pause))
        log.warning("notify.not_taken", receiver=notice.receiver, why=why, again=pause)
        return False

    def _lost(self) -> None:
        """What a process before this one was sending when it died."""
        for notice in self._notices().outbox:
            if notice.begun:
                self._drop(notice, "the controller ended while it was sent: it may have arrived")

    def _drop(self, notice: Notice, why: str) -> bool:
        self._change(notice, None)
        words = f"{notice.receiver} was not told ({notice.rule}: {notice.gathered.title}): {why}"
        self._store.events.add("", EventType.WARNING, Happened.NOTIFY, words)
        return True

    def _change(self, notice: Notice, after: Notice | None) -> None:
        """In place of the one of this id."""

        def changed(notices: Notices) -> Notices:
            rows = [after if each.id == notice.id else each for each in notices.outbox]
            return replace(notices, outbox=tuple(each for each in rows if each))

        self._store.notes.change(Notices, changed)

    def _notices(self) -> Notices:
        try:
            return self._store.notes.get(Notices) or Notices()
        except LeaseError:
            raise
        except StoreError as error:
            log.warning("notices.damaged", why=error.message)
            self._store.notes.forget(Notices, [""])
            return Notices()


def _due(notice: Notice, now: int) -> bool:
    """What is due later than anything is put off was put off by a clock that was ahead."""
    return not now < notice.due <= now + SLOWEST


@contextmanager
def notifying(store: Store, settings: Settings, every: float = EVERY) -> Iterator[None]:
    """People are told while this lasts; it ends with the message that is on its way."""
    over = threading.Event()

    def work() -> None:
        notifier: Notifier | None = None
        while not over.is_set():
            try:
                notifier = notifier or Notifier(store, settings)
                notifier.round(int(time.time()))
            except LeaseError:
                return
            except Exception as caught:  # whatever it is, people are told of the next thing
                log.error("notify.failed", error=readable(caught).message)
            over.wait(every)

    thread = threading.Thread(target=work, name="notifying", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)

"""What has happened already, a login or a refusal, goes into the audit log without anybody waiting for the disk.

In: acts (`app.state.record`). Out: lines, by a thread that begins with the first of them. Rules: each is in the log of
the process at once; of strangers the audit log has some and counts the rest; where `MOST` wait, or none can be written,
the process's log says which are missing.

    record = told(log)
    record(Act(1795000000, "ada", "account", "192.0.2.7", "login"))
"""

import queue
import threading
from collections.abc import Callable

import structlog

from gitops.errors import StoreError
from gitops.model.access.act import Act
from gitops.server.people.guard.acts import logged
from gitops.store.audit.log import AuditLog

log = structlog.get_logger(__name__)
MOST = 1000


def told(audit: AuditLog) -> Callable[[Act], None]:
    """For one server."""
    waiting, lock, begun = queue.Queue[Act](MOST), threading.Lock(), list[threading.Thread]()

    def work() -> None:
        while True:
            act = waiting.get()
            try:
                (audit.note if act.outcome == "done" else audit.stranger)(act)
            except StoreError as error:
                log.error("audit.not_written", error=error.message, what=act.what, who=act.who)

    def record(act: Act) -> None:
        logged(act)
        with lock:
            if not begun:
                begun.append(threading.Thread(target=work, name="audit", daemon=True))
                begun[0].start()
        try:
            waiting.put_nowait(act)
        except queue.Full:
            log.error("audit.not_written", error=f"{MOST} wait already", what=act.what, who=act.who)

    return record

"""`toweros run`: the loop and the update server, in one process."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.main import configure_logging
from gitops.cli.output import talk
from gitops.controller import Controller
from gitops.errors import LeaseError
from gitops.server import create_app, serve
from gitops.settings import Settings
from gitops.store import Store

log = structlog.get_logger(__name__)


def register(app: typer.Typer) -> None:
    app.command()(run)


def run(config: ConfigOption = None, state: StateOption = None) -> None:
    """Poll the repository, build, publish and serve, until told to stop."""
    configure_logging(logging.INFO)
    settings = context.settings(config, state)
    stop = threading.Event()
    store = Store.of(settings, migrate=True)
    with serve(create_app(store, settings), settings.listen), ended_by_signals():
        talk.print(f"update server on http://{settings.listen}, repository {settings.repository}")
        while True:
            control(settings, store, stop)


def control(settings: Settings, store: Store, stop: threading.Event) -> None:
    """Be the controller, as soon as no other is, until another one takes over: we were stopped, or cut off."""
    try:
        with store.lease.held(stop):
            Controller(settings, store).run_forever(stop)
    except LeaseError as error:
        log.error("lease.lost", error=error.message)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """The first signal ends a pass where it is, with what it started; SIGTERM is how we are meant to end, so code 0."""

    def end(number: int, _frame: object) -> None:
        for other in (signal.SIGTERM, signal.SIGINT):
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with suppress(Terminated):
        yield


class Terminated(BaseException):
    """SIGTERM came."""

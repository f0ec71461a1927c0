"""`toweros run`: the loop and the update server, in one process."""

import logging
import signal
import threading

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.main import configure_logging
from gitops.cli.output import talk
from gitops.reconcile import Controller
from gitops.server import create_app, serve
from gitops.store import Store


def register(app: typer.Typer) -> None:
    app.command()(run)


def run(config: ConfigOption = None, state: StateOption = None) -> None:
    """Poll the repository, build, publish and serve, until told to stop."""
    configure_logging(logging.INFO)
    settings = context.settings(config, state)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = Store.open(settings.state)
    with store.lock(), serve(create_app(store, settings), settings.listen):
        talk.print(f"update server on http://{settings.listen}, repository {settings.repository}")
        Controller(settings, store).run_forever(stop)

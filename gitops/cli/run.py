"""`toweros run`: the loop and the update server, in one process."""

import logging
import threading

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.main import configure_logging
from gitops.cli.output import talk
from gitops.controller import Controller
from gitops.errors import StoreError
from gitops.server import create_app, serve, settled
from gitops.server.signals import ended_by_signals
from gitops.source.clone.remote import redact
from gitops.store import Store


def register(app: typer.Typer) -> None:
    app.command()(run)


def run(config: ConfigOption = None, state: StateOption = None) -> None:
    """Poll the repository, build, publish and serve, until told to stop."""
    configure_logging(logging.INFO)
    settings = context.settings(config, state)
    stop = threading.Event()
    store = Store.of(settings, migrate=True)
    settled()
    with serve(create_app(store, settings), settings.listen), ended_by_signals():
        talk.print(f"update server on http://{settings.listen}, repository {redact(settings.repository)}")
        while True:
            try:
                with store.lease.held(stop):
                    Controller(settings, store).run_forever(stop)
            except StoreError as error:  # another one has taken over, or the database is away
                talk.print(f"waiting: {error.message}")
                stop.wait(settings.poll)

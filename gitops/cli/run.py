"""`toweros run` (loop and update server in one process) and `toweros apply` (one pass)."""

import logging
import signal
import threading

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.main import configure_logging
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.reconcile import Controller, Pass
from gitops.server import create_app, serve
from gitops.store import Store


def register(app: typer.Typer) -> None:
    app.command()(run)
    app.command()(apply)


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


def apply(config: ConfigOption = None, state: StateOption = None, output: OutputOption = Output.table) -> None:
    """Do one pass and say what was done."""
    settings = context.settings(config, state)
    store = Store.open(settings.state)
    with store.lock():
        done = Controller(settings, store).run_once()
    emit(done.as_json(), output, lambda: render(done))


def render(done: Pass) -> object:
    """One line per box that something was decided for, or `No changes.`"""
    rows = [[box, "published", str(done.revision)] for box in done.published]
    rows += [[box, "held", reason] for box, reason in done.held.items()]
    return table(["BOX", "DONE", "WHY"], rows) if rows else "No changes."

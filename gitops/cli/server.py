"""`toweros server`: the update server alone, as many of them as wanted."""

import logging
import threading
from typing import Annotated

import typer

from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.main import configure_logging
from gitops.cli.output import talk
from gitops.server import Apart, listening, settled
from gitops.server.signals import ended_by_signals
from gitops.settings import load
from gitops.store import Store


def register(app: typer.Typer) -> None:
    app.command()(server)


def server(
    listen: Annotated[str | None, typer.Option("--listen", help="ADDRESS:PORT, instead of the settings'.")] = None,
    people: Annotated[
        str | None, typer.Option("--people-listen", help="For people: ADDRESS:PORT, '' for nowhere.")
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Serve boxes, and people at an address of their own, beside a controller or without one, until told to stop."""
    configure_logging(logging.INFO)
    settings = load(config, state=state, listen=listen, people_listen=people)
    store = Store.of(settings)
    settled()
    with (
        Apart(settings) as render,
        listening(store, settings, render) as urls,
        ended_by_signals(),
    ):
        talk.print(f"update server {urls}")
        threading.Event().wait()

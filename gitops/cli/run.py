"""`toweros run`: the loop and the update server, in one process; or what was assembled, in QEMU."""

import logging
import threading
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.main import configure_logging
from gitops.cli.output import talk
from gitops.errors import StoreError, TowerosError
from gitops.lab.hardware import MEMORY
from gitops.lab.image import FORMATS, command
from gitops.process import become


def register(app: typer.Typer) -> None:
    app.command()(run)


def _format(word: str) -> str:
    if word not in FORMATS:
        raise typer.BadParameter(f"Got unexpected extra argument ({word}); FORMAT is one of {', '.join(FORMATS)}")
    return word


def run(
    format_: Annotated[
        str | None,
        typer.Argument(
            metavar="FORMAT", parser=_format, help="Instead: start what `toweros assemble` made in this format."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The file, or how the names of its files begin.")
    ] = None,
    memory: Annotated[int, typer.Option(help="MiB, of the machine.")] = MEMORY,
    accelerator: Annotated[str, typer.Option(help="tcg or kvm, for the machine.")] = "tcg",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Poll the repository, build, publish and serve, until told to stop.

    With FORMAT and FILE: start in QEMU what `toweros assemble` made, on this terminal.
    """
    if format_ is None:
        _loop(config, state)
    elif file is None:
        raise TowerosError(f"which file of the format {format_}?", hint=f"toweros run {format_} FILE")
    else:
        words = command(format_, file, memory=memory, accelerator=accelerator)
        talk.print("Ctrl-a x ends the machine")
        become(words)


def _loop(config: Path | None, state: Path | None) -> None:
    from gitops.controller import Controller  # these take long to load, and a machine needs none of them
    from gitops.server import create_app, serve, settled
    from gitops.server.signals import ended_by_signals
    from gitops.source.clone.remote import redact
    from gitops.store import Store

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

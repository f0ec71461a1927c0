"""`toweros run`: the loop, and the update server beside it, a process each; or what was assembled, in QEMU."""

import logging
import os
import threading
from functools import partial
from pathlib import Path

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.main import configure_logging
from gitops.cli.media import machine
from gitops.cli.output import talk
from gitops.errors import StoreError, VmError
from gitops.lab.accelerator import Accelerator
from gitops.lab.asked.which import Said
from gitops.lab.hardware import MEMORY

NICE = 5
"""By how much the loop stands back behind the update server."""


def register(app: typer.Typer) -> None:
    app.command()(run)


def run(
    format_: machine.FormatArgument = None,
    file: machine.FileArgument = None,
    memory: machine.MemoryOption = MEMORY,
    cpus: machine.CpusOption = 1,
    accelerator: machine.AcceleratorOption = Accelerator.tcg,
    kvm: machine.KvmOption = None,
    disk: machine.DiskOption = None,
    publish: machine.PublishOption = None,
    networking: machine.NetworkingOption = "user",
    data: machine.DataOption = None,
    data_file: machine.DataFileOption = None,
    firmware: machine.FirmwareOption = None,
    gui: machine.GuiOption = False,
    iso: machine.IsoOption = False,
    uefi: machine.UefiOption = False,
    kernel: machine.KernelOption = False,
    squashfs: machine.SquashfsOption = False,
    name: machine.NameOption = "",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Poll the repository, build, publish and serve, until told to stop.

    With FORMAT and FILE: start in QEMU what `toweros assemble` made, on this terminal; --state is the machine's folder.
    """
    said = Said(iso, uefi, kernel, squashfs)
    more = (tuple(disk or ()), tuple(publish or ()), networking, data, data_file, firmware, gui, name, said)
    words = machine.Words(memory, cpus, accelerator, kvm, *more)
    if format_ is not None:
        machine.start(format_, file, words, state)
    elif words != machine.Words():
        raise VmError("of which machine?", hint="toweros run FORMAT FILE; the controller has none of these options")
    else:
        _loop(config, state)


def _loop(config: Path | None, state: Path | None) -> None:
    from gitops.controller import Controller  # these take long to load, and a machine needs none of them
    from gitops.server.beside import Beside
    from gitops.server.signals import ended_by_signals
    from gitops.source.remotes.redacting import redact
    from gitops.store import Store
    from gitops.workflows.deltas.worker import deltas
    from gitops.workflows.notifying.notifier import notifying

    configure_logging(logging.INFO)
    settings = context.controllers(config, state)
    stop = threading.Event()
    store = Store.of(settings, migrate=True)
    with ended_by_signals(), Beside(settings, partial(configure_logging, logging.INFO)) as urls:
        os.nice(NICE)  # and whatever builds: boxes are answered before
        talk.print(f"update server {urls}; repository {redact(settings.repository)}")
        while True:
            try:
                with store.lease.held(stop), notifying(store, settings), deltas(store, settings):
                    Controller(settings, store).run_forever(stop)
            except StoreError as error:  # another one has taken over, or the database is away
                talk.print(f"waiting: {error.message}")
                stop.wait(settings.poll)

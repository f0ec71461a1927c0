"""`toweros vm run`: boot a box's disk in QEMU, under Secure Boot, and show its console until it powers off."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gitops.errors import TowerosError
from gitops.vm import Certificates, Machine, enroll_keys, overlay

POLL = 0.5
"""Seconds between two looks at the console."""


def register(app: typer.Typer) -> None:
    vm = typer.Typer(help="Boxes in QEMU.", no_args_is_help=True)
    vm.command("run")(run)
    app.add_typer(vm, name="vm")


def run(
    disk: Annotated[Path, typer.Option(help="A disk made by `toweros box image`; it is not written to.")],
    keys: Annotated[Path, typer.Option(help="The folder with PK.crt, KEK.crt and db.crt.")],
    folder: Annotated[Path, typer.Option(help="Where the machine keeps its writes and its console.")],
    forward: Annotated[list[str] | None, typer.Option(help="HOST:BOX, a TCP port of the loopback.")] = None,
    memory: Annotated[int, typer.Option(help="MiB.")] = 1024,
    accelerator: Annotated[str, typer.Option(help="tcg or kvm.")] = "tcg",
) -> None:
    """Boot a disk; its writes go to an overlay in FOLDER. Ctrl-C powers it off."""
    folder.mkdir(parents=True, exist_ok=True)
    variables, own = folder / "vars.fd", folder / "disk.qcow2"
    if not variables.exists():
        enroll_keys(variables, Certificates(*(keys / f"{name}.crt" for name in ("PK", "KEK", "db"))))
    if not own.exists():
        overlay(disk, own)
    with Machine(folder, own, variables, _ports(forward or []), memory, accelerator=accelerator) as machine:
        typer.echo(f"console: {machine.serial}", err=True)
        shown = len(machine.output())
        while machine.running:
            text = machine.output()
            typer.echo(text[shown:], nl=False)
            shown = len(text)
            time.sleep(POLL)


def _ports(forward: list[str]) -> dict[int, int]:
    try:
        return {int(host): int(box) for host, _, box in (word.partition(":") for word in forward)}
    except ValueError as error:
        raise TowerosError("--forward takes HOST:BOX, two port numbers", hint="--forward 2222:22") from error

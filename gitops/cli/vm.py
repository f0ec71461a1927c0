"""`toweros vm run NAME`: any box of the fleet in QEMU, for a look; its console is the terminal."""

from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, NameArgument, StateOption
from gitops.cli.output import talk
from gitops.errors import TowerosError, VmError
from gitops.lab.hardware import Hardware, free_port
from gitops.lab.machine import Machine
from gitops.lab.stand_in import SSH, StandIn
from gitops.lab.terminal import attach


def register(app: typer.Typer) -> None:
    vm = typer.Typer(help="Boxes in QEMU.", no_args_is_help=True)
    vm.command("run")(run)
    app.add_typer(vm, name="vm")


def run(
    name: NameArgument,
    reset: Annotated[bool, typer.Option("--reset", help="Forget the machine's disk and firmware first.")] = False,
    secure_boot: Annotated[bool, typer.Option("--secure-boot/--no-secure-boot", help="Enforce it, or not.")] = True,
    forward: Annotated[
        list[str] | None, typer.Option(help="HOST:BOX, a TCP port of the loopback (22 is there).")
    ] = None,
    memory: Annotated[int, typer.Option(help="MiB.")] = 2048,
    accelerator: Annotated[str, typer.Option(help="tcg or kvm.")] = "tcg",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Boot a box of the fleet in QEMU, console attached. Ctrl-] powers it off."""
    stand_in = StandIn(context.settings(config, state), name)
    ports = _ports(forward or []) | {free_port(): SSH}
    if reset:
        stand_in.forget()
    disk, variables = stand_in.disk(context.store(config, state)), stand_in.variables(secure_boot=secure_boot)
    hardware = Hardware(disk, variables, ports, memory, accelerator=accelerator, attachable=True)
    for host, box in sorted(ports.items(), key=lambda pair: pair[1]):
        talk.print(f"127.0.0.1:{host} leads to port {box} of {name}")
    talk.print(f"{stand_in.folder}: the machine; `toweros box ssh {name}` logs in; Ctrl-] powers off")
    with stand_in.reachable(ports), Machine(stand_in.folder, hardware) as machine:
        attach(machine)
        if machine.trouble:
            raise VmError(machine.trouble, hint=f"does the machine run already? See {stand_in.folder}")


def _ports(forward: list[str]) -> dict[int, int]:
    try:
        return {int(host): int(box) for host, _, box in (word.partition(":") for word in forward)}
    except ValueError as error:
        raise TowerosError("--forward takes HOST:BOX, two port numbers", hint="--forward 8081:8080") from error

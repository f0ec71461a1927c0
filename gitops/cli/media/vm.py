"""`toweros vm run NAME|FILE`: any box of the fleet, or a disk image or ISO, in QEMU, for a look; its console is the
terminal."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.errors import TowerosError, VmError
from gitops.lab.accelerator import Accelerator, accelerator
from gitops.lab.hardware import Hardware, free_port
from gitops.lab.machine import Machine
from gitops.lab.netbooted import netbooted
from gitops.lab.on_file import NO_KEYS, is_file, on_file
from gitops.lab.stand_in import SSH, StandIn
from gitops.lab.terminal import attach
from gitops.store import Store
from gitops.workflows.media.starts import known_as

AcceleratorOption = Annotated[
    Accelerator, typer.Option("--accelerator", help="auto: KVM where a guest runs by it, else emulation.")
]


def register(app: typer.Typer) -> None:
    vm = typer.Typer(help="Boxes in QEMU.", no_args_is_help=True)
    vm.command("run")(run)
    app.add_typer(vm, name="vm")


def run(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A box; or a disk image or ISO, by its path.")],
    reset: Annotated[bool, typer.Option("--reset", help="Forget the machine's disk and firmware first.")] = False,
    secure_boot: Annotated[bool, typer.Option("--secure-boot/--no-secure-boot", help="Enforce it, or not.")] = True,
    forward: Annotated[
        list[str] | None, typer.Option(help="HOST:BOX, a TCP port of the loopback (22 is there).")
    ] = None,
    bios: Annotated[bool, typer.Option("--bios", help="Started by a BIOS: a disk of its own.")] = False,
    iso: Annotated[
        bool,
        typer.Option(
            "--iso",
            help="From a medium of the box, made once (--reset: again); or FILE is an ISO, whatever its name says.",
        ),
    ] = False,
    install: Annotated[
        str, typer.Option("--install", help="With --iso: beside an empty disk, which it settles by this rule.")
    ] = "",
    memory: Annotated[int, typer.Option(help="MiB.")] = 2048,
    pxe: Annotated[
        bool, typer.Option("--pxe", help="Without a disk: iPXE starts it from the update server, as `netboot:` says.")
    ] = False,
    by: AcceleratorOption = Accelerator.auto,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Boot a box of the fleet, or a file, in QEMU, console attached. Ctrl-] powers it off."""
    settings, ports = context.settings(config, state), _ports(forward or []) | {free_port(): SSH}
    if install and (not iso or pxe):
        raise TowerosError("--install is for a medium", hint=f"toweros vm run {name} --iso --install {install}")
    if is_file(name) or (iso and Path(name).is_file()):
        with on_file(Path(name), None if bios else settings.keys if secure_boot else NO_KEYS, iso=iso) as made:
            talk.print(f"{name}: what it writes is gone when it is off; Ctrl-] powers off")
            more = {"ports": ports, "memory": memory, "accelerator": accelerator(by), "attachable": True}
            _attach(Machine(made.folder, replace(made.hardware, **more)))  # type: ignore[arg-type]
        return
    stand_in = StandIn(settings, name)
    if reset:
        stand_in.forget()
    if pxe:
        known = known_as(context.known_store(config, state), name)
        stand_in.folder.mkdir(parents=True, exist_ok=True)
        hardware = netbooted(settings.server, known, ports, memory=memory, accelerator=accelerator(by))
    else:
        store = context.known_store(config, state)
        parts = _by_medium(stand_in, store, install) if iso else Hardware(stand_in.disk(store, bios=bios), None)
        variables = None if bios else stand_in.variables(secure_boot=secure_boot)
        hardware = replace(parts, variables=variables, ports=ports, memory=memory, accelerator=accelerator(by))
        hardware = replace(hardware, attachable=True)
    for host, box in sorted(ports.items(), key=lambda pair: pair[1]):
        talk.print(f"127.0.0.1:{host} leads to port {box} of {name}")
    talk.print(f"{stand_in.folder}: the machine; `toweros box ssh {name}` logs in; Ctrl-] powers off")
    with stand_in.reachable(ports):
        _attach(Machine(stand_in.folder, hardware))


def _by_medium(stand_in: StandIn, store: Store, install: str) -> Hardware:
    """From the box's medium alone; or from the disk that it settled, and else from the medium."""
    medium = stand_in.medium(store, install)
    if not install:
        return Hardware(medium, None, optical=True)
    talk.print(f"{stand_in.empty_disk()}: starts by itself, once the medium has settled it")
    return Hardware(stand_in.empty_disk(), None, medium=medium)


def _attach(machine: Machine) -> None:
    with machine:
        attach(machine)
        if machine.trouble:
            raise VmError(machine.trouble, hint=f"does the machine run already? See {machine.folder}")


def _ports(forward: list[str]) -> dict[int, int]:
    try:
        return {int(host): int(box) for host, _, box in (word.partition(":") for word in forward)}
    except ValueError as error:
        raise TowerosError("--forward takes HOST:BOX, two port numbers", hint="--forward 8088:8080") from error

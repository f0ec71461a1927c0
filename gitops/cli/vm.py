"""`toweros vm run NAME`: any box of the fleet in QEMU, for a look; its console is the terminal.

The machine lives in STATE/vm/NAME: its disk, its firmware's variables, `serial.log`, the ports that lead into it. It
runs what the box is asked to run, and updates itself like the box. If the real box is enrolled, what the machine
reports counts for nothing: nobody should mistake a look for the box.
"""

import contextlib
import json
import os
import select
import shutil
import socket
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from gitops import process
from gitops.cli import context
from gitops.cli.context import ConfigOption, NameArgument, StateOption
from gitops.cli.output import talk
from gitops.errors import TowerosError
from gitops.lab.machine import Certificates, Machine, VmError, enroll_keys, free_port, setup_mode
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.provision import provision

LEAVE = b"\x1d"
"""Ctrl-]: powers the machine off."""
SSH = 22
PAUSE = 0.5
"""Seconds between two tries to reach a machine that resets."""
CHUNK = 4096


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
    settings, store = context.settings(config, state), context.store(config, state)
    folder = machine_folder(settings, name)
    ports = _ports(forward or []) | {free_port(): SSH}
    if reset:
        shutil.rmtree(folder, ignore_errors=True)
        forget_host_key(settings, name)
    disk, variables = _prepare(settings, store, name, secure_boot)
    machine = Machine(folder, disk, variables, ports, memory, accelerator=accelerator, attachable=True)
    (folder / "ports.json").write_text(json.dumps({box: host for host, box in ports.items()}))
    for host, box in sorted(ports.items(), key=lambda pair: pair[1]):
        talk.print(f"127.0.0.1:{host} leads to port {box} of {name}")
    talk.print(f"{folder}: the machine; `toweros box ssh {name}` logs in; Ctrl-] powers off")
    try:
        with machine:
            attach(machine)
            if machine.trouble:
                raise VmError(machine.trouble, hint=f"does the machine run already? See {folder}")
    finally:
        (folder / "ports.json").unlink(missing_ok=True)


def machine_folder(settings: Settings, name: str) -> Path:
    """Where the machine of a box lives."""
    return settings.state / "vm" / name


def ssh_port(settings: Settings, name: str) -> int | None:
    """The port of the loopback that leads to the sshd of a box's machine; None when none runs."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return int(json.loads((machine_folder(settings, name) / "ports.json").read_text())[str(SSH)])
    return None


def known_hosts(settings: Settings) -> Path:
    """The host keys of boxes and machines that were logged in to."""
    return settings.state / "known_hosts"


def alias(name: str) -> str:
    """The name of a box's machine there: it is not the box."""
    return f"{name}.vm"


def forget_host_key(settings: Settings, name: str) -> None:
    """A new disk makes new keys."""
    if known_hosts(settings).exists():
        process.run(["ssh-keygen", "-R", alias(name), "-f", known_hosts(settings)])


def _prepare(settings: Settings, store: Store, name: str, secure_boot: bool) -> tuple[Path, Path]:
    folder = machine_folder(settings, name)
    folder.mkdir(parents=True, exist_ok=True)
    disk, variables = folder / "disk.qcow2", folder / ("vars.fd" if secure_boot else "vars-without-keys.fd")
    if not disk.exists():
        provision(settings, store, name, disk, enroll=store.boxes.row(name) is None)
    if not variables.exists():
        halves = (settings.keys / f"{half}.crt" for half in ("PK", "KEK", "db"))
        enroll_keys(variables, Certificates(*halves)) if secure_boot else setup_mode(variables)
    return disk, variables


def _ports(forward: list[str]) -> dict[int, int]:
    try:
        return {int(host): int(box) for host, _, box in (word.partition(":") for word in forward)}
    except ValueError as error:
        raise TowerosError("--forward takes HOST:BOX, two port numbers", hint="--forward 8081:8080") from error


# --- the console ------------------------------------------------------------------------------------------------------


def attach(machine: Machine) -> None:
    """Be the terminal of the machine until it is off, or the user leaves."""
    with _raw_terminal() as keyboard:
        while machine.running:
            with contextlib.suppress(VmError), machine.console() as console:
                if not _talk(console, keyboard):
                    return
            time.sleep(PAUSE)


def _talk(console: socket.socket, keyboard: int | None) -> bool:
    """Carry bytes both ways until the console closes (True) or the user leaves (False)."""
    sources: list[socket.socket | int] = [console] if keyboard is None else [console, keyboard]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if console in ready:
            data = console.recv(CHUNK)
            if not data:
                return True
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        if keyboard in ready and keyboard is not None:
            typed = os.read(keyboard, CHUNK)
            if LEAVE in typed or not typed:
                return False
            console.sendall(typed)


@contextlib.contextmanager
def _raw_terminal() -> Iterator[int | None]:
    """The keyboard, every key at once; None when there is no terminal."""
    if not sys.stdin.isatty():
        yield None
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard)
    try:
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)

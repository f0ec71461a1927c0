"""A box in QEMU: firmware with Secure Boot enforced, one disk, a watchdog, the serial console in a file.

In: a disk image, the firmware's variables, ports to forward. Out: a running machine, and what it said. Rules: plain
emulation unless asked otherwise (a /dev/kvm that exists may still hang); everything it writes is in its own folder;
it is ended over QMP, or by its own process id. 10.0.2.2 inside is the host's loopback. Every reset is a new QEMU
process: in one and the same, emulated firmware was seen to hang in its timer after the second reset.

    keys = enroll_keys(folder / "vars.fd", Certificates(pk, kek, db))
    machine = Machine(folder, overlay(base, folder / "disk.qcow2"), keys, ports={2222: 22})
    machine.start()
    machine.wait_for(r"login:", timeout=120)
    machine.stop()
"""

import contextlib
import json
import os
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

import structlog

from gitops.errors import TowerosError
from gitops.model import Json
from gitops.process import Background, run, start

log = structlog.get_logger(__name__)

FIRMWARE = Path("/usr/share/OVMF")
CODE = FIRMWARE / "OVMF_CODE_4M.secboot.fd"
VARIABLES = FIRMWARE / "OVMF_VARS_4M.fd"
OWNER = "b6f4c1f2-4f3c-5b52-9d6e-746f7765726f"
"""The GUID under which our keys stand in the firmware's variables."""
MEMORY = 1024
"""MiB."""
POLL = 0.2
"""Seconds between two looks at the serial log."""
QMP_TIMEOUT = 5.0
LAST_LINES = 3
SOCKET, EVENTS, CONSOLE = "qmp.sock", "events.sock", "console.sock"
RESETS = ("guest-reset", "host-qmp-system-reset", "guest-panic")
"""Why QEMU ends when the machine is only to start again (qapi/run-state.json, ShutdownCause)."""


class Stream(Protocol):
    """What of a socket's file QMP needs."""

    def readline(self) -> bytes: ...
    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...


class VmError(TowerosError):
    """A machine cannot be started, or does not do what was waited for."""


@dataclass(frozen=True)
class Certificates:
    """The public halves that the firmware is to trust: PEM files."""

    pk: Path
    kek: Path
    db: Path


def setup_mode(variables: Path, base: Path = VARIABLES) -> Path:
    """Write a variable store without keys: the firmware starts whatever it finds."""
    shutil.copyfile(base, variables)
    return variables


def enroll_keys(variables: Path, certificates: Certificates, base: Path = VARIABLES) -> Path:
    """Write a variable store with our keys in it and Secure Boot on, without a boot."""
    program = shutil.which("virt-fw-vars") or str(_beside_python("virt-fw-vars"))
    owned = [("--set-pk", certificates.pk), ("--add-kek", certificates.kek), ("--add-db", certificates.db)]
    words = [word for option, path in owned for word in (option, OWNER, str(path))]
    run([program, "--input", base, "--output", variables, *words, "--secure-boot"])
    return variables


def _beside_python(name: str) -> Path:
    """A program that came with one of our libraries: it is where this Python is, which PATH may not name."""
    return Path(sys.executable).with_name(name)


def overlay(base: Path, disk: Path) -> Path:
    """A disk that reads from `base` and keeps its own writes."""
    info = json.loads(run(["qemu-img", "info", "--output=json", base]))
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", info["format"], "-b", base.resolve(), disk])
    return disk


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Machine:
    """One box. `ports` are host port -> box port, on the host's loopback alone."""

    folder: Path
    disk: Path
    variables: Path
    ports: Mapping[int, int] = field(default_factory=dict)
    memory: int = MEMORY
    cpus: int = 1
    """QEMU 7.2 emulating two loses the flags register now and then: the kernel dies of a double fault."""
    accelerator: str = "tcg"
    append: tuple[str, ...] = ()
    attachable: bool = False
    """Whether somebody may type on the serial console (`console`); what it says is in `serial` either way."""
    _process: Background | None = None
    _on: bool = False
    _watcher: threading.Thread | None = None

    @property
    def serial(self) -> Path:
        """What the box wrote to its serial console."""
        return self.folder / "serial.log"

    @property
    def running(self) -> bool:
        return self._on

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def trouble(self) -> str:
        """QEMU's own last words, when it ended because something is wrong; empty else."""
        if self._process is None or self._process.running or not self._process.code:
            return ""
        return "\n".join(self._process.log_file.read_text(errors="replace").splitlines()[-LAST_LINES:])

    def command(self) -> list[str | Path]:
        """QEMU's command line."""
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{box}" for host, box in sorted(self.ports.items()))
        disk_format = "qcow2" if self.disk.suffix == ".qcow2" else "raw"
        return [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-name", self.folder.name,
            "-machine", "q35,smm=on", "-accel", self.accelerator,
            "-cpu", "qemu64" if self.accelerator == "tcg" else "host",
            "-smp", str(self.cpus), "-m", str(self.memory),
            "-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1",
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={CODE}",
            "-drive", f"if=pflash,format=raw,unit=1,file={self.variables.resolve()}",
            "-drive", f"if=none,id=disk,format={disk_format},discard=unmap,file={self.disk.resolve()}",
            "-device", "virtio-blk-pci,drive=disk,bootindex=0",
            "-netdev", f"user,id=net{forwards}", "-device", "virtio-net-pci,netdev=net,romfile=",
            "-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
            "-device", "i6300esb", "-action", "watchdog=reset", "-action", "reboot=shutdown",
            "-chardev", self._serial_backend(), "-serial", "chardev:serial",
            "-qmp", f"unix:{SOCKET},server=on,wait=off", "-qmp", f"unix:{EVENTS},server=on,wait=off",
            *self.append,
        ]  # fmt: skip

    def _serial_backend(self) -> str:
        log_file = self.serial.name
        if self.attachable:
            return f"socket,id=serial,path={CONSOLE},server=on,wait=off,logfile={log_file},logappend=on"
        return f"file,id=serial,path={log_file},append=on"

    def start(self) -> Self:
        """Power on."""
        if self.running:
            raise VmError(f"{self.folder.name} runs already")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._on = True
        self._launch()
        return self

    def _launch(self) -> None:
        for name in (SOCKET, EVENTS, CONSOLE):
            (self.folder / name).unlink(missing_ok=True)
        self._process = start(self.command(), log_file=self.folder / "qemu.log", cwd=self.folder)
        log.info("vm.start", folder=str(self.folder), pid=self.pid)
        self._watcher = threading.Thread(target=self._watch, args=(self._process,), daemon=True)
        self._watcher.start()

    def _watch(self, process: Background) -> None:
        """Until this process ends; then start the next when it was a reset."""
        reason = ""
        with contextlib.suppress(OSError, VmError), self._connected(EVENTS, process) as stream:
            while line := stream.readline():
                message = json.loads(line)
                if message.get("event") == "SHUTDOWN":
                    reason = message["data"]["reason"]
        while process.running:
            time.sleep(POLL)
        if self._on and reason in RESETS:
            self._launch()
        else:
            self._on = False

    def stop(self, grace: float = QMP_TIMEOUT) -> None:
        """Power off, without asking the box."""
        self._on = False
        if not self._process:
            return
        with contextlib.suppress(OSError, VmError):
            self.qmp("quit")
            deadline = time.monotonic() + grace
            while self._process.running and time.monotonic() < deadline:
                time.sleep(POLL)
        self._process.stop(grace)

    def power_cut(self) -> None:
        """End it in the middle of whatever it does."""
        self._on = False
        if self._process:
            self._process.kill()

    def reset(self) -> None:
        """Press the reset button."""
        self.qmp("system_reset")

    def qmp(self, command: str, **arguments: object) -> Json:
        """One QMP command and its answer (qemu's docs/interop/qmp-spec).

        Raises:
            VmError: the machine says no, or is gone.
        """
        with self._connected(SOCKET, self._process) as stream:
            return _ask(stream, command, arguments)

    @contextlib.contextmanager
    def _connected(self, name: str, process: Background | None) -> Iterator[Stream]:
        """A QMP connection, ready for commands; waits a little for a QEMU that has just started."""
        with self._connect(name, process) as connection, connection.makefile("rwb") as stream:
            connection.settimeout(QMP_TIMEOUT if name == SOCKET else None)
            _answer(stream.readline())
            _ask(stream, "qmp_capabilities", {})
            yield stream

    def console(self) -> socket.socket:
        """A connection to the serial console of an `attachable` machine. It ends with every reset.

        Raises:
            VmError: the machine is off.
        """
        return self._connect(CONSOLE, self._process)

    def _connect(self, name: str, process: Background | None) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        with _opened(self.folder) as near:
            for _ in range(int(QMP_TIMEOUT / POLL)):
                with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                    connection.connect(f"{near}/{name}")
                    return connection
                if process is None or not process.running:
                    break
                time.sleep(POLL)
        connection.close()
        raise VmError(f"{self.folder.name} is off")

    def output(self) -> str:
        """All that the box wrote so far."""
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def wait_for(self, pattern: str, timeout: float, *, after: int = 0) -> re.Match[str]:
        """Wait until the serial console matches, from character `after` on.

        Raises:
            VmError: the time is over, or the machine ended; the last lines are in the message.
        """
        deadline = time.monotonic() + timeout
        while True:
            alive = self.running
            text = self.output()
            match = re.compile(pattern, re.MULTILINE).search(text, after)
            if match:
                return match
            if not alive or time.monotonic() > deadline:
                why = f"not seen within {timeout:.0f} s" if alive else "not seen before the machine ended"
                last = "\n".join(text[after:].splitlines()[-20:])
                raise VmError(f"{pattern!r} {why}; the console ends with\n{last}", hint=f"see {self.serial}")
            time.sleep(POLL)

    def wait_off(self, timeout: float) -> None:
        """Wait until the box powers itself off."""
        deadline = time.monotonic() + timeout
        while self.running:
            if time.monotonic() > deadline:
                raise VmError(f"{self.folder.name} is still on after {timeout:.0f} s", hint=f"see {self.serial}")
            time.sleep(POLL)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[str]:
    """A short name for a folder: the path of a socket may have 108 bytes, and a folder's may be longer."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _ask(stream: Stream, command: str, arguments: Mapping[str, object]) -> Json:
    stream.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    stream.flush()
    answer = _answer(stream.readline())
    while "event" in answer:
        answer = _answer(stream.readline())
    return answer


def _answer(line: bytes) -> Json:
    if not line:
        raise VmError("the machine closed its control socket")
    answer: Json = json.loads(line)
    if "error" in answer:
        raise VmError(f"the machine says: {answer['error'].get('desc', answer['error'])}")
    return answer

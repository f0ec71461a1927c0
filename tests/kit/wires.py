"""Two machines and the wires between them: network namespaces, in which real programs run.

In: nothing. Out: `Wires`, with a `box` and the `far` side of its wires, each with a network and a /sys of its own; what
was started there ends with them. Needs root, as all of these tests do.

    with Wires() as wires:
        wires.connect("eth0", "far0")
        wires.box("ip link set eth0 up")
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Self

PACKAGE = Path(__file__).parents[2] / "pkg" / "dhcpcd"
LIBRARY = PACKAGE / "files" / "usr" / "lib" / "toweros" / "network"
PATIENCE = 30.0
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
"""linux/if_tun.h."""
HOLD = """
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount --bind /run /var/lib
touch /run/resolv.conf
servers=$(readlink -m /etc/resolv.conf)
mkdir -p "${servers%/*}"
[ ! -e "$servers" ] || mount --bind /run/resolv.conf "$servers"
ip link set lo up
echo here
exec sleep 600
"""
"""dhcpcd and its hooks write name servers, leases and the host's name: here they find files and names of their own."""


class Machine:
    """A network namespace, held by a process that waits."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--uts", "sh", "-e", "-c", HOLD], stdout=subprocess.PIPE, text=True
        )
        self._started: list[subprocess.Popen[str]] = []
        assert self._holder.stdout and self._holder.stdout.readline() == "here\n"

    @property
    def pid(self) -> int:
        return self._holder.pid

    def __call__(self, script: str, *, check: bool = True) -> str:
        command = [*self.inside, "sh", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, check=check, timeout=60).stdout

    def start(self, *command: str, log: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        words = [*self.inside, "env", *(f"{name}={value}" for name, value in environment.items()), *command]
        with log.open("a") if log else contextlib.nullcontext(subprocess.DEVNULL) as output:
            started = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True)
        self._started.append(started)
        return started

    @contextlib.contextmanager
    def this_thread(self) -> Iterator[None]:
        """What this thread connects or binds is in this network (setns(2))."""
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/proc/thread-self/ns/net").open() as before, Path(f"/proc/{self.pid}/ns/net").open() as there:
            assert not libc.setns(there.fileno(), CLONE_NEWNET)
            try:
                yield
            finally:
                assert not libc.setns(before.fileno(), CLONE_NEWNET)

    def end(self) -> None:
        for pid in self._all():  # also the children of what was killed: dhcpcd has several
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for process in (*self._started, self._holder):
            process.terminate()
        for process in (*self._started, self._holder):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        if self._holder.stdout:
            self._holder.stdout.close()

    def _all(self) -> list[int]:
        """What runs in this network, by its namespace."""
        here, found = Path(f"/proc/{self.pid}/ns/net").stat().st_ino, list[int]()
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                found += [int(path.name)] if (path / "ns" / "net").stat().st_ino == here else []
        return [pid for pid in found if pid not in (self.pid, os.getpid())]

    @property
    def inside(self) -> list[str]:
        """What runs a command here, as words before it."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--uts"]


class Wires:
    """A box, the far side, and what runs on both."""

    def __enter__(self) -> Self:
        self.box, self.far = Machine(), Machine()
        return self

    def __exit__(self, *_: object) -> None:
        self.box.end()
        self.far.end()

    def connect(self, name: str, far: str, mac: str = "") -> None:
        """A wire: `name` at the box, `far` at the far side."""
        address = f"address {mac}" if mac else ""
        self.box(f"ip link add name {name} {address} type veth peer name {far} netns {self.far.pid}")
        self.far(f"ip link set dev {far} up")

    @contextlib.contextmanager
    def dialled(self, name: str, far: str) -> Iterator[None]:
        """A line as PPP makes it: no MAC, no neighbours, link-local addresses that both ends know. It is gone
        afterwards."""
        ends = [_line(self.box, name), _line(self.far, far)]
        lost = threading.Event()
        threads = [threading.Thread(target=_carry, args=(*pair, lost)) for pair in (ends, ends[::-1])]
        for thread in threads:
            thread.start()
        try:
            self.far(f"ip link set dev {far} up; ip address add fe80::2 peer fe80::1 dev {far}")
            self.box(f"ip link set dev {name} up; ip address add fe80::1 peer fe80::2 dev {name}")
            yield
        finally:
            lost.set()
            for thread in threads:
                thread.join()
            for end in ends:
                os.close(end)


def _line(machine: Machine, name: str) -> int:
    """An interface that is there while this is open (Linux, Documentation/networking/tuntap.rst)."""
    with machine.this_thread():
        end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI))
        machine(f"echo 1 >/proc/sys/net/ipv6/conf/{name}/addr_gen_mode")  # the kernel adds no address of its own
    return end


def _carry(one: int, other: int, lost: threading.Event) -> None:
    while not lost.is_set():
        if wait([one], 0.1):
            with contextlib.suppress(OSError):
                os.write(other, os.read(one, 65536))


class Service:
    """The box's network service, with files of its own: `text` is its /etc/toweros/network."""

    def __init__(self, wires: Wires, folder: Path, shell: str) -> None:
        self.wires, self.folder, self.shell = wires, folder, shell
        self.file, self.resolv, self.log = folder / "network", folder / "resolv" / "resolv.conf", folder / "log"
        self.plain, self.ways = folder / "dhcpcd.conf", folder / "ways"
        # Nobody else is here: no five seconds to ask whether an address is free.
        self.plain.write_text((PACKAGE / "files" / "dhcpcd.conf").read_text() + "noarp\n")

    @contextlib.contextmanager
    def run(self, text: str, again: int = 60, look: float = 1) -> Iterator[None]:
        self.file.write_text(text)
        self.ways.unlink(missing_ok=True)
        environment = {
            "NETWORK_FILE": str(self.file),
            "NETWORK_RUN": str(self.folder / "run"),
            "NETWORK_RESOLV": str(self.resolv),
            "NETWORK_PLAIN": str(self.plain),
            "NETWORK_OWN": str(self.folder),
            "NETWORK_LIB": str(LIBRARY),
            "NETWORK_WAYS": str(self.ways),
            "NETWORK_IPV6": "/proc/sys/net/ipv6",
            "NETWORK_LOOK": str(look),
            "NETWORK_MISSES": "1",
            "NETWORK_AGAIN": str(again),
        }
        start = str(PACKAGE / "files" / "usr" / "bin" / "start-dhcpcd")
        (self.folder / "bin").mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):  # as on a box
            (self.folder / "bin" / "ping").symlink_to("/usr/bin/busybox")
        environment["PATH"] = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        process = self.wires.box.start(*self.shell.split(), start, log=self.log, **environment)
        try:
            yield
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)
            process.kill()
            process.wait()

    def addresses(self, name: str) -> list[str]:
        """Of an interface, with their prefix length; what is still tried does not count."""
        lines = self.wires.box(f"ip -o address show dev {name} scope global -tentative", check=False).splitlines()
        return [line.split()[3] for line in lines]

    def routes(self) -> str:
        return self.wires.box("ip route show; ip -6 route show default")

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


def until(holds: Callable[[], object], what: Callable[[], object] = lambda: "") -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, what()
        time.sleep(0.1)

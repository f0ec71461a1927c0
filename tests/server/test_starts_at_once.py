"""Machines that start by the network in the same minute: each gets its own release whole, whoever else is slow, is
killed or is nobody's, and the starts of one are not another's. A real server, real sockets."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gitops.assemble.boot import ipxe
from gitops.server import create_app, serve
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.netboot import BootSets, Starts
from tests.kit import firmware as machine
from tests.kit.netboot import Diskless

BEGAN = 1_800_000_000
A_START = 150
"""Seconds from one start to the next."""
LARGE = 60 << 20
"""Bytes of an ESP: far more than the buffers of two sockets."""
A_PART = 1 << 20
"""Bytes that a machine takes before it stops, or is killed."""
CROWD = 45
"""More than the server has threads for files (anyio's 40)."""
PATIENCE = 60
NOBODY = ("52:54:00:00:00:99", "ffffffff-0000-4000-8000-000000000000")


@dataclass
class Room:
    """A server with three boxes: `kiosk-0` starts by UEFI HTTP Boot, `kiosk-1` and `kiosk-2` by iPXE; and a clock."""

    store: Store
    url: str = ""
    now: float = BEGAN
    boxes: list[Diskless] = field(default_factory=list)

    def add(self, size: int) -> None:
        number = len(self.boxes)
        known_by = (f"52:54:00:00:01:0{number}", f"5e2f8d7c-0000-4000-8000-00000000000{number}")
        self.boxes.append(box := Diskless(self.store, f"kiosk-{number}", known_by=known_by))
        box.offer(self.release(number, 8), self.release(number, 7), size=size if number == 0 else 0)
        box.says(BEGAN - 3600, "boot of before", self.release(number, 7))

    @staticmethod
    def release(number: int, sequence: int) -> str:
        """No two boxes have the same."""
        return f"{number + 1}" * 63 + f"{sequence}"

    def image(self) -> str:
        """The path of the first box's ESP, by its digest: who reads it is not counted."""
        sets = self.store.notes.get(BootSets, "kiosk-0")
        assert sets
        return f"/boot/files/{sets.sets[0].image.sha256}"

    def counts(self) -> dict[str, int]:
        return {box: len(each.starts) for box, each in self.store.notes.each(Starts).items()}

    def opened(self, path: str) -> socket.socket:
        """A machine that asked for a file, took a part of it, and goes on no further."""
        where = urlsplit(self.url)
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
        one.settimeout(PATIENCE)
        one.connect((where.hostname, where.port))
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        taken = 0
        while taken < A_PART:
            taken += len(one.recv(A_PART - taken))
        return one

    def script(self, known_by: tuple[str, ...]) -> str:
        query = f"mac={known_by[0].replace(':', '-')}&uuid={known_by[1]}"
        return machine.ask(self.url, machine.IPXE, f"GET /boot/box.ipxe?{query}")[0].decode()

    def killed(self) -> str:
        """The third box's machine, whose power goes while it has a part of its files. Returns what it was handed."""
        script = self.script(self.boxes[2].known_by)
        one = self.opened(self.image())
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
        handed = self.store.notes.get(BootSets, "kiosk-2")
        assert handed
        return next(each.release for each in handed.sets if each.kernel.sha256 in script)

    def by_uefi(self) -> str:
        return machine.by_uefi(self.url, "kiosk-0").split()[1].decode()

    def by_bios(self, number: int = 1) -> str:
        kernel, initrd = (each.split()[1].decode() for each in machine.by_bios(self.url, *self.boxes[number].known_by))
        assert kernel == initrd
        return kernel


def room_of(folder: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> Iterator[Room]:
    made = Room(Store.open(folder))
    for _ in range(3):
        made.add(size)
    with serve(create_app(made.store, Settings(state=made.store.paths.root)), "127.0.0.1:0") as url:
        made.url = url
        monkeypatch.setattr("gitops.server.boxes.netboot.time.time", lambda: made.now)
        yield made


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    yield from room_of(tmp_path, monkeypatch, 2 * A_PART)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    yield from room_of(tmp_path, monkeypatch, LARGE)


def at_once(*starts: Callable[[], str]) -> list[str]:
    """What each is handed, all asking in the same moment."""
    together = threading.Barrier(len(starts))

    def start(one: Callable[[], str]) -> str:
        together.wait(PATIENCE)
        return one()

    with ThreadPoolExecutor(len(starts)) as threads:
        return [each.result() for each in [threads.submit(start, one) for one in starts]]


def test_slow_machines_keep_nobody_waiting_and_get_it_all(large: Room) -> None:
    """The first box takes a megabyte, and no more until all others are done; so do more machines than the server has
    threads. What nobody reads lies in no memory of the server's (`test_bounds`)."""
    with ExitStack() as held:
        slow = held.enter_context(large.opened("/boot/kiosk-0.img"))
        for _ in range(CROWD):
            held.enter_context(large.opened(large.image()))
        handed = at_once(large.by_bios, lambda: large.script(NOBODY), large.killed)
        assert handed == [large.release(1, 8), ipxe.STRANGER, large.release(2, 8)]
        assert at_once(lambda: large.by_bios(2)) == [large.release(2, 8)], "its power is back, within the minute"
        rest = sum(len(part) for part in iter(lambda: slow.recv(A_PART), b""))
    assert A_PART + rest > LARGE, "head and all of the file"
    assert large.counts() == {"kiosk-0": 1, "kiosk-1": 1, "kiosk-2": 1}


def test_each_machine_falls_back_by_its_own_starts_alone(room: Room) -> None:
    """Three boxes start three times in the same minutes: the first is Healthy each time, the second says nothing, the
    third is killed while it fetches."""
    new, old = ([room.release(number, sequence) for number in range(3)] for sequence in (8, 7))
    for turn in range(3):
        assert at_once(room.by_uefi, room.by_bios, room.killed) == new
        assert room.counts() == {"kiosk-0": 1, "kiosk-1": turn + 1, "kiosk-2": turn + 1}
        room.now += 60
        room.boxes[0].says(int(room.now), f"boot {turn}", new[0])
        room.now += A_START - 60
    assert at_once(room.by_uefi, room.by_bios, room.killed) == [new[0], *old[1:]]
    room.boxes[1].says(int(room.now) + 60, "it came up", old[1])
    room.boxes[2].offer(new[2].replace("8", "9"), new[2], old[2])
    room.now += A_START
    assert at_once(room.by_uefi, room.by_bios, lambda: room.by_bios(2))[1:] == [old[1], new[2].replace("8", "9")]


def test_that_a_box_falls_back_is_told_once_however_many_ask_in_its_name(room: Room) -> None:
    """A MAC is no secret: a flood in a box's name must not be a flood of mails."""
    for _ in range(3):
        room.by_bios()
        room.now += A_START
    assert set(at_once(*[room.by_bios] * 16)) == {room.release(1, 7)}
    assert [event.message.partition(" by ")[0] for event in room.store.events.latest("kiosk-1")] == [
        "release 8 was started three times"
    ]

"""TOWEROS on a disk that answers with I/O errors: nothing is staged, the box says so and goes on with what it runs.

The disk is ext4, and the errors are those of the kernel's block layer (`tests/kit/baddisk.py`).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.baddisk import BadDisk, bad_disk
from tests.simulators.box import SIGNED, Box, Made, State, drive, make
from tests.simulators.update_server import UpdateServer

TROUBLE = re.compile("Input/output error|Read-only file system")
"""The second, once ext4 has seen the first one at its journal."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[BadDisk]:
    (tmp_path / "run").mkdir()
    with bad_disk(tmp_path / "run") as made:
        yield made


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer, disk: BadDisk) -> Box:
    made = Box(tmp_path, server.url, server.root)
    assert made.disk == disk.place
    made.install(make(7, probation=0))
    offer(server, make(7, probation=0))
    return made


def offer(server: UpdateServer, made: Made) -> None:
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon)


@pytest.mark.parametrize("idle", [True, False], ids=["while-it-runs", "from-its-start"])
def test_a_disk_that_fails_is_reported_and_nothing_of_the_next_release_is_staged(
    box: Box, server: UpdateServer, disk: BadDisk, idle: bool
) -> None:
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    if not idle:
        agent = box.power_on()
        assert agent
    offer(server, make(8, service=b"two", uki=SIGNED + b"kernel 2", probation=0))
    esp = {path: path.read_bytes() for path in box.esp.rglob("*") if path.is_file()}
    told = len(server.reports)
    disk.fails()
    for _ in range(4):
        agent.step()
    assert agent.state not in (State.REBOOTING, State.PROBATION) and not box.rebooted
    assert {path: path.read_bytes() for path in box.esp.rglob("*") if path.is_file()} == esp
    assert len(server.reports) > told, "it still speaks"
    said = box.report(server)
    assert TROUBLE.search(f"{said['error']} {said['degraded']}") and said["sequence"] == 7, said
    disk.is_whole_again()
    assert box.bootable() == [7], "the running release is as it was"
    back = box.power_on()
    assert back and back.boot.sequence == 7
    drive(back, State.REBOOTING)
    new = box.power_on()
    assert new and new.boot.sequence == 8
    drive(new, State.IDLE)
    assert box.bootable() == [7, 8]

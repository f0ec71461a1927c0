"""Power lost at any change of the disk, with everything unsynced gone: a good release boots, and the update ends.

Every third change, as each costs half a second; `TOWEROS_EVERY=1` takes them all (`make soak`).
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulators.bios_box import BiosBox, for_grub
from tests.simulators.box import SIGNED, Box, Made, State, drive, make
from tests.simulators.power import EVERY, cut_at
from tests.simulators.update_server import UpdateServer


def _as_is(made: Made) -> Made:
    return made


KINDS = pytest.mark.parametrize(("kind", "fit"), [(Box, _as_is), (BiosBox, for_grub)], ids=["uefi", "bios"])


def _publish(server: UpdateServer, fit: Callable[[Made], Made]) -> None:
    made = fit(make(8, service=b"two", uki=SIGNED + b"kernel 2", probation=0))
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon)


def _update_and_bless(box: Box) -> None:
    agent = box.power_on()
    assert agent
    if agent.boot.sequence == 7:
        drive(agent, State.REBOOTING)
        agent = box.power_on()
        assert agent
    assert agent.boot.sequence == 8
    drive(agent, State.IDLE)
    agent.step()


@KINDS
def test_a_power_cut_anywhere_loses_nothing(tmp_path: Path, kind: type[Box], fit: Callable[[Made], Made]) -> None:
    """Of GRUB's block a cut leaves nothing here at all, which is more than it takes from a sector."""
    with UpdateServer("demo-1") as server:
        _publish(server, fit)
        point = 0
        while True:
            folder = tmp_path / str(point)
            folder.mkdir()
            box = kind(folder, server.url, server.root)
            box.install(fit(make(6, service=b"zero", probation=0)))
            box.install(fit(make(7, probation=0)))
            disks = (box.disk, box.esp, box.root / "efivars")
            cut = cut_at(point, disks, lambda box=box: _update_and_bless(box), vfat=box.esp)
            assert set(box.bootable()) & {7, 8}, f"nothing boots after a cut at change {point}"
            emptied = kind is BiosBox and not (box.esp / "grub" / "grubenv").stat().st_size
            if not emptied and json.loads((box.run / "boot.json").read_bytes())["sequence"] == 8:
                assert 8 in box.bootable(), f"the new release is gone after a cut at change {point}"
            plain_and_counted = [name.split("+")[0].removesuffix(".efi") for name in box.entries()]
            assert len(set(plain_and_counted)) == len(plain_and_counted), f"twins after a cut at change {point}"
            _update_and_bless(box)
            assert box.bootable() == [7, 8], f"after a cut at change {point}"
            shutil.rmtree(folder)
            if not cut:
                break
            point += EVERY
        assert point > 40

"""GRUB for machines with a BIOS: made by the pinned tools, always the same, and where the firmware looks for it."""

import struct

import pytest

from gitops.assemble.boot import grub
from gitops.errors import AssembleError, ProcessError
from tests.kit import built

CONFIG = "echo here\n"


@pytest.mark.e2e
def test_a_core_is_the_same_twice_and_holds_its_configuration() -> None:
    toolbox = built.media_tools()
    first, second = (grub.core_image(toolbox, grub.DISK_MODULES, CONFIG) for _ in range(2))
    assert first == second and len(first) % grub.SECTOR == 0 and len(first) < grub.MAX_CORE
    other = grub.core_image(toolbox, grub.DISK_MODULES, "echo there\n")
    assert other != first, "the configuration is inside"
    with pytest.raises(ProcessError):
        grub.core_image(toolbox, ["nosuch"], CONFIG)


@pytest.mark.e2e
def test_sector_and_core_find_each_other_on_the_disk() -> None:
    toolbox = built.media_tools()
    core, sector = grub.core_image(toolbox, grub.DISK_MODULES, CONFIG), grub.boot_sector(toolbox, 4096)
    assert len(sector) == grub.CODE and struct.unpack_from("<Q", sector, grub.KERNEL_SECTOR) == (4096,)
    start, sectors, _ = struct.unpack_from("<QHH", grub.placed(core, 4096), grub.BLOCKS)
    assert start == 4097 and sectors == len(core) // grub.SECTOR - 1
    for damaged in (b"", bytes(grub.SECTOR), core[: -grub.SECTOR]):
        with pytest.raises(AssembleError, match="not a core"):
            grub.placed(damaged, 4096)


@pytest.mark.e2e
def test_an_iso_has_a_core_and_a_first_sector_of_its_own() -> None:
    toolbox = built.media_tools()
    core = grub.core_image(toolbox, grub.CD_MODULES, CONFIG, grub.Form.cd)
    assert core == grub.core_image(toolbox, grub.CD_MODULES, CONFIG, grub.Form.cd)
    assert len(grub.hybrid_sector(toolbox)) == grub.SECTOR

"""Three starts by the network that come to nothing, counted by the update server from what firmware asks it: the
requests that OVMF was seen to make, those of iPXE's scripts, and hours that pass."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitops.rollout.netboot import PAUSE
from gitops.server import create_app, serve
from gitops.settings import Settings
from gitops.store import Store
from tests.kit import firmware as machine
from tests.kit.netboot import MAC, NEW, OLD, UUID, Diskless

BEGAN = 1_800_000_000
A_START = 150
"""Seconds from power to a watchdog's reset, and to the next request."""
Start = Callable[["Site"], str]


class Site:
    """The server with one box, and a clock of its own."""

    def __init__(self, box: Diskless, url: str) -> None:
        self.box, self.now, self.url = box, float(BEGAN), url


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    box = Diskless(Store.open(tmp_path))
    box.offer(NEW, OLD)
    box.says(BEGAN - 3600, "boot of before", OLD)
    with serve(create_app(box.store, Settings(state=box.store.paths.root)), "127.0.0.1:0") as url:
        made = Site(box, url)
        monkeypatch.setattr("gitops.server.boxes.netboot.time.time", lambda: made.now)
        yield made


def by_uefi(site: Site) -> str:
    """The release that it gets."""
    return machine.by_uefi(site.url, "demo-1").decode().removeprefix("image ")


def by_bios(site: Site) -> str:
    """The same release for all files."""
    kernel, initrd = (each.decode().split() for each in machine.by_bios(site.url, MAC, UUID))
    assert kernel[1] == initrd[1]
    return kernel[1]


def a_start(site: Site, firmware: Start) -> str:
    """What the machine is handed, that comes to nothing: after a while its watchdog starts it again."""
    handed = firmware(site)
    site.now += A_START
    return handed


@pytest.mark.parametrize("firmware", [by_uefi, by_bios])
def test_the_fourth_start_is_handed_what_ran_before_and_hours_later_the_new_one_again(
    site: Site, firmware: Start
) -> None:
    assert [a_start(site, firmware) for _ in range(5)] == [NEW, NEW, NEW, OLD, OLD]
    assert [each.message for each in site.box.store.events.latest("demo-1")] == [
        "release 8 was started three times by the network, and no Healthy report came; release 7 is handed out"
    ]
    site.box.says(int(site.now), "it came up", OLD)
    assert a_start(site, firmware) == OLD, "one that lives starts with what it is held at"
    site.now += PAUSE
    assert a_start(site, firmware) == NEW


@pytest.mark.parametrize("firmware", [by_uefi, by_bios])
def test_a_healthy_report_between_two_starts_ends_the_count(site: Site, firmware: Start) -> None:
    for _ in range(2):
        assert a_start(site, firmware) == NEW
    site.box.says(int(site.now), "the third one", NEW)
    site.now += A_START
    assert [a_start(site, firmware) for _ in range(4)] == [NEW, NEW, NEW, OLD]

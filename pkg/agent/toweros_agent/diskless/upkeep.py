"""Housekeeping where there is no disk of ours: nothing is kept from one boot to the next, and no ESP decides.

Rules: an update is a start by the network, which hands out what the signed metadata offer, or what ran before when that
did not come up; who started moments ago stays, so that a server that hands out another release than it offers costs a
start now and then, and not the box; the firmware's variables stay as they are.
"""

import time

from toweros_agent.firmware.boot_loader import BootLoader
from toweros_agent.firmware.efivars import Variables
from toweros_agent.history import History
from toweros_agent.host.disk import Disk
from toweros_agent.host.esp import Esp
from toweros_agent.host.firmware import Firmware
from toweros_agent.machine import Event
from toweros_agent.nouns import Entry, Release
from toweros_agent.settings import Places
from toweros_agent.upkeep.disk import Upkeep

STAY = 600.0
"""Seconds of uptime before the box starts again for another release. By then the controller has said what came of the
last start: a release that did not come up is held."""
YOUNG = "another release is offered: this box starts again by the network when it has been up for ten minutes"


class Diskless(Upkeep):
    """As `Upkeep`, without whatever is about an ESP."""

    taking = Event.NETBOOT

    def __init__(self, places: Places, disk: Disk, esp: Esp, history: History, running: Release) -> None:
        super().__init__(places, disk, esp, history, running)
        self.firmware = FirmwareAlone(places.run / "esp", Variables(places.efivars), disk.state)
        self.boot_loader = NoLoader(self.keyring, disk.state / "loader.json", running.loader, history.boot_id)

    def waits(self) -> str | None:
        return YOUNG if time.monotonic() < STAY else None

    def restore(self) -> None:
        """There is nothing from which the next boot starts."""

    def settle(self) -> None:
        """Nor anything that follows a release."""

    def try_loader(self) -> bool:
        return False

    def keep_way_back(self, coming: Entry | None = None) -> None:
        """The server has it."""


class FirmwareAlone(Firmware):
    """What the firmware trusts is told; what it finds on an ESP is not asked."""

    def problems(self) -> list[str]:
        return []


class NoLoader(BootLoader):
    """The server brings it with every start."""

    @property
    def pending(self) -> bool:
        return False

    def due(self) -> bool:
        return False

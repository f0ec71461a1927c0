"""A keys folder and a box whose firmware was enrolled with it: what it starts, what its firmware lists.

The firmware is one of a page (`firmware.py` beside); the programs are signed by sbsign, the updates by `toweros keys`.
"""

import shutil
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from toweros_agent.firmware.keyring import Keyring
from toweros_agent.host.firmware import Firmware

from gitops.sign import Signer, keys
from gitops.sign.enrolled import der, problems, remember
from gitops.store import Store
from gitops.store.notes.box_keys import Enrolled
from tests.kit.pe import a_pe_file
from tests.kit.published import shared_keys
from tests.simulators.firmware import SignedVariables

NOW = datetime.now(UTC)
PROGRAM = a_pe_file()


class Site:
    """A keys folder, a box whose firmware was enrolled with it, and what that box starts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.keys, self.etc, self.esp = folder, folder / "keys", folder / "etc", folder / "esp"
        shutil.copytree(shared_keys(), self.keys)
        self.variables = SignedVariables(folder / "efivars")
        self.variables.enrol(self.keys)
        for name in ("etc", "esp/EFI/BOOT", "esp/EFI/Linux/toweros-6.efi.extra.d"):
            (folder / name).mkdir(parents=True)
        self.log: list[str] = []
        self.install()

    @property
    def programs(self) -> list[Path]:
        linux = self.esp / "EFI" / "Linux"
        return [
            self.esp / "EFI" / "BOOT" / "BOOTX64.EFI",
            linux / "toweros-6.efi",
            linux / "toweros-6.efi.extra.d" / "release.addon.efi",
        ]

    def install(self) -> None:
        """What the controller signs now is what this box has."""
        signed = Signer.open(self.keys).sign_boot(PROGRAM)
        for path in self.programs:
            path.write_bytes(signed)

    def boot(self) -> Keyring:
        """A boot of a release of now."""
        if (self.keys / keys.FIRMWARE).exists():
            shutil.copy(self.keys / keys.FIRMWARE, self.etc)
        return Keyring(self.etc, self.esp, self.variables, self.log.append)

    def lists(self, variable: str = "db") -> set[str]:
        return self.boot().present(variable)

    def starts(self) -> bool:
        """Whether the firmware would start all that is on the ESP."""
        return not any(self.boot().refuses(path) for path in self.programs)

    def told(self) -> list[str]:
        """What the controller says of this box's firmware."""
        store = Store.open(self.folder / "store", migrate=True)
        remember(store, self.keys)
        facts, known = Firmware(self.esp, self.variables, self.folder).facts(), store.notes.get(Enrolled)
        assert facts and known
        return problems(known.rows, facts)


def fingerprint(certificate: Path) -> str:
    return sha256(der(certificate.read_bytes())).hexdigest()

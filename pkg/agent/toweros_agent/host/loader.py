"""What decides about the next boot beside the entries: loader.conf, systemd-boot's variables, files of others.

Rules: what is known is compared, and put right where it differs; what was wrong is told for some time. The system token
is systemd-boot's own, and stays. (systemd.io/BOOT_LOADER_INTERFACE; UAPI.1: type 1 entries.)
"""

import shutil
import time
from pathlib import Path

from toweros_agent.firmware.efivars import LOADER, Variables
from toweros_agent.host.disk import sync_folder
from toweros_agent.host.esp import Esp
from toweros_agent.host.renaming import rename, replace, settle

CONF = "timeout menu-disabled\neditor no\nauto-firmware no\nauto-entries no\nsecure-boot-enroll off\n"
CONFS_BEFORE = ("timeout 0\neditor no\n",)
"""What images had before: brought up to date without a word."""
SET_BY_OTHERS = (
    "LoaderEntryDefault",
    "LoaderEntryOneShot",
    "LoaderEntryPreferred",
    "LoaderConfigTimeout",
    "LoaderConfigTimeoutOneShot",
)
FOREIGN = ("loader/entries", "loader/addons", "loader/credentials", "EFI/systemd/drivers")
"""Folders on the ESP in which systemd-boot and its stub look, and where nothing of ours is."""
MAX_TEXT = 200
"""Characters that are shown of what somebody wrote."""
TOLD = 3600.0
"""Seconds for which a thing that is over is told."""


class Loader:
    """`said` is what was found since this boot, with its time (monotonic)."""

    def __init__(self, root: Path, esp: Esp, variables: Variables) -> None:
        self.root, self.esp, self.variables = root, esp, variables
        self.said: dict[str, float] = {}

    @property
    def problems(self) -> list[str]:
        return [text for text, moment in self.said.items() if time.monotonic() - moment < TOLD]

    def restore(self) -> None:
        """Compare all, and put right what differs. Raises `OSError` where it cannot, after it has tried the rest."""
        troubles = []
        for part in (self._conf, self._folders, self._addons, self._variables):
            try:
                part()
            except OSError as error:
                troubles.append(error)
        if troubles:
            raise troubles[0]

    def say(self, text: str) -> None:
        self.said[text] = time.monotonic()

    def _conf(self) -> None:
        path = self.root / "loader" / "loader.conf"
        found = path.read_bytes().decode(errors="replace") if path.is_file() else None
        if found == CONF:
            return
        path.parent.mkdir(exist_ok=True)
        beside = path.with_name("loader.new")
        beside.write_text(CONF)
        settle(beside)
        if found:
            replace(beside, path)
        else:
            rename(beside, path, check=True)
        if found not in CONFS_BEFORE:
            self.say(f"loader.conf was not as it must be, and is put right: it said {_shown(found or 'nothing')}")

    def _folders(self) -> None:
        for name in FOREIGN:
            folder = self.root / name
            if folder.is_dir() and (names := sorted(path.name for path in folder.iterdir())):
                shutil.rmtree(folder)
                sync_folder(folder.parent)
                self.say(f"/{name} on the ESP is not ours, and is removed: it had {_shown(', '.join(names))}")

    def _addons(self) -> None:
        """Whatever lies beside an entry's own addon would be read as well."""
        for entry in self.esp.entries():
            own = self.esp.addon(entry.sequence)
            for path in own.parent.iterdir() if own.parent.is_dir() else ():
                if path.name != own.name:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    sync_folder(own.parent)
                    self.say(f"{_shown(path.name)} beside the addon of release {entry.sequence} is removed")

    def _variables(self) -> None:
        for name in SET_BY_OTHERS:
            if (value := self.variables.get(name, LOADER)) is not None:
                self.variables.delete(name, LOADER)
                words = value.decode("utf-16-le", errors="replace").rstrip("\0")
                self.say(f"the variable {name} is removed: it said {_shown(words)}")


def _shown(text: str) -> str:
    return ascii(" ".join(text.split())[:MAX_TEXT])

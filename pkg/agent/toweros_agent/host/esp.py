"""The boot entries on the ESP (systemd-boot's boot counting: systemd.io/AUTOMATIC_BOOT_ASSESSMENT).

    toweros-8.efi        plain: blessed             toweros-8+2-1.efi    counted: 2 tries left, 1 done
    toweros-8+0-3.efi    bad: no tries left         toweros-8.efi.extra.d/release.addon.efi    names its release

There is never a plain and a counted entry of one sequence. A new entry appears when its addon and its content are on
the disk and read back, and gets its name as every other does (renaming.py); it disappears before its addon does. A file
of no bytes is no entry: a power cut left it. What was removed is synced before anything else is written, as vfat would
give its clusters away again.
"""

import re
import shutil
from dataclasses import replace
from pathlib import Path

from toweros_agent.host import room
from toweros_agent.host.disk import file_digest, sync_folder
from toweros_agent.host.renaming import rename, settle
from toweros_agent.nouns import Entry, Refused, Staged, Target

TRIES = 3
HEADROOM = 1 << 20
LEFT_OVER = re.compile(r"toweros-\d+(\+\d+(-\d+)?)?\.efi(\.new|\.extra\.d)?", re.ASCII)
"""Names that our own interrupted work leaves."""


class Esp:
    """The ESP, mounted at `root`."""

    in_firmware = True
    """The firmware itself is told of the way back; GRUB knows it from its block (bios/entries.py)."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "EFI" / "Linux"

    def entries(self) -> list[Entry]:
        if not self.folder.is_dir():  # a machine that was started from elsewhere has none
            return []
        found = [Entry.parse(path.name) for path in self.folder.iterdir() if path.stat().st_size]
        return sorted((entry for entry in found if entry), key=lambda entry: entry.sequence)

    def get(self, sequence: int) -> Entry | None:
        return next((entry for entry in self.entries() if entry.sequence == sequence), None)

    def path(self, entry: Entry) -> Path:
        """Its UKI."""
        return self.folder / entry.name

    def addon(self, sequence: int) -> Path:
        return self.folder / f"toweros-{sequence}.efi.extra.d" / "release.addon.efi"

    def find(self, uki: Target) -> Path | None:
        """A UKI with that content, under whatever name."""
        for entry in self.entries():
            path = self.path(entry)
            if path.stat().st_size == uki.length and file_digest(path) == uki.sha256:
                return path
        return None

    def demand(self, size: int) -> None:
        """Raises `Refused` when `size` more bytes do not fit."""
        room.demand("the ESP", self.folder, size + HEADROOM)

    def stage(self, sequence: int, uki: Path, addon: Path) -> None:
        """Gather an entry's files under names that no boot loader looks at, in the place of an older try."""
        entries = self.entries()
        if len({entry.sequence for entry in entries} - {sequence}) < bool(entries):
            raise Refused(f"release {sequence} is the only one on the ESP: it cannot be replaced by itself")
        gathered = self.folder / f"toweros-{sequence}.efi.new"
        shutil.copyfile(uki, gathered)
        self.remove(sequence)
        self.addon(sequence).parent.mkdir()
        shutil.copyfile(addon, self.addon(sequence))

    def publish(self, staged: Staged) -> None:
        """Sync and read back what was gathered, then let it appear as an entry with `TRIES` tries.

        Raises:
            Refused: the ESP does not give back what was written; no entry appears.
        """
        gathered = self._settled(staged)
        entry = self.folder / Entry(staged.sequence, TRIES).name
        rename(gathered, entry, check=False)
        if file_digest(entry) != staged.uki:
            raise Refused(f"the ESP does not give back {entry.name} as it was written")

    def _settled(self, staged: Staged) -> Path:
        """Sync and read back what was gathered: the UKI, which has no entry's name yet. Raises `Refused`."""
        gathered, addon = self.folder / f"toweros-{staged.sequence}.efi.new", self.addon(staged.sequence)
        for path, expected in ((addon, staged.addon), (gathered, staged.uki)):
            settle(path)
            if file_digest(path) != expected:
                raise Refused(f"the ESP does not give back {path.name} as it was written")
        sync_folder(addon.parent)
        sync_folder(self.folder)
        return gathered

    def intact(self, staged: Staged) -> bool:
        """Do an entry's boot files read back as they were written?"""
        entry = self.get(staged.sequence)
        files = [(self.path(entry), staged.uki), (self.addon(staged.sequence), staged.addon)] if entry else []
        try:
            return bool(files) and all(file_digest(path) == expected for path, expected in files)
        except OSError:
            return False

    def bless(self, sequence: int) -> None:
        """Make an entry plain, from any count (the third try runs as `+0-3`)."""
        self._rename(sequence, Entry(sequence), check=True)

    def condemn(self, sequence: int) -> None:
        """Leave an entry no tries: the boot loader then takes any other first."""
        entry = self.get(sequence)
        if entry and not entry.bad:
            self._rename(sequence, replace(entry, left=0, done=entry.done or TRIES), check=False)

    def remove(self, sequence: int) -> None:
        """Entry first, addon after it."""
        for entry in self.entries():
            if entry.sequence == sequence:
                self.path(entry).unlink()
        sync_folder(self.folder)
        shutil.rmtree(self.addon(sequence).parent, ignore_errors=True)
        sync_folder(self.folder)

    def clean(self) -> list[str]:
        """Drop what an interrupted update left, and what is not ours: the names of that."""
        entries = self.entries()
        ours = {self.path(entry).name for entry in entries} | {
            f"toweros-{entry.sequence}.efi.extra.d" for entry in entries
        }
        foreign = []
        for path in self.folder.iterdir():
            if path.name in ours:
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            if not LEFT_OVER.fullmatch(path.name):
                foreign.append(path.name)
        sync_folder(self.folder)
        return sorted(foreign)

    def _rename(self, sequence: int, to: Entry, *, check: bool) -> None:
        for entry in self.entries():
            if entry.sequence == sequence and entry != to:
                rename(self.folder / entry.name, self.folder / to.name, check=check)

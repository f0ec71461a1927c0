"""The boot entries of a box with a BIOS: the verbs of esp.py, for GRUB (docs/bios.md, ADR 62).

    EFI/Linux/toweros-8.efi                                the UKI as it was signed, under one name for ever
    EFI/Linux/toweros-8.efi.extra.d/release.addon.efi      the addon, as with UEFI
    EFI/Linux/toweros-8.efi.extra.d/grub.cfg               what GRUB does: both, taken apart (apart.py)
    grub/grubenv                                           which entries there are, and their tries (grubenv.py)
    grub/good.cfg                                          the blessed ones, should that block be damaged

Rules: an entry is what the environment block names and whose UKI is there; every change of that is the write of one
sector. Files are there before the block names them, and go after it does not. Blessed entries that the block has lost
are those of `good.cfg`; where both are damaged, every UKI is one: what GRUB does as well.
"""

import contextlib
from pathlib import Path

from toweros_agent.host.bios import grubenv
from toweros_agent.host.bios.apart import grub_config
from toweros_agent.host.disk import file_digest, sync_folder
from toweros_agent.host.esp import TRIES, Esp
from toweros_agent.host.renaming import rename, settle
from toweros_agent.nouns import Entry, Refused, Staged

CONFIG = "grub.cfg"


class Bios(Esp):
    """The ESP of a box with a BIOS, mounted at `root`."""

    in_firmware = False

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.block, self.good = root / "grub" / "grubenv", root / "grub" / "good.cfg"

    def path(self, entry: Entry) -> Path:
        return self.folder / Entry(entry.sequence).name

    def config(self, sequence: int) -> Path:
        return self.addon(sequence).with_name(CONFIG)

    def entries(self) -> list[Entry]:
        there = [entry for entry in self._named() if self._whole(entry)]
        return sorted(there or self._files(), key=lambda entry: entry.sequence)

    def publish(self, staged: Staged) -> None:
        """Sync and read back what was gathered, take it apart for GRUB, then let the block name it with `TRIES` tries.

        Raises:
            Refused: the ESP does not give back what was written, or GRUB could not start it; no entry appears.
        """
        gathered = self._settled(staged)
        self.write_config(staged.sequence, gathered)
        entry = Entry(staged.sequence, TRIES)
        rename(gathered, self.path(entry), check=False)
        if file_digest(self.path(entry)) != staged.uki:
            raise Refused(f"the ESP does not give back {self.path(entry).name} as it was written")
        self._say([*self.entries(), entry])

    def intact(self, staged: Staged) -> bool:
        return super().intact(staged) and self.starts(staged.sequence)

    def starts(self, sequence: int) -> bool:
        """Is what GRUB does what the files say?"""
        try:
            return self.config(sequence).read_bytes() == self._expected(sequence, self.path(Entry(sequence)))
        except (OSError, Refused):
            return False

    def write_config(self, sequence: int, uki: Path) -> None:
        """Take a UKI and its addon apart. Raises `Refused`, `OSError`."""
        data, path = self._expected(sequence, uki), self.config(sequence)
        beside = path.with_name("grub.new")
        beside.write_bytes(data)
        settle(beside)
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
        rename(beside, path, check=True)

    def remove(self, sequence: int) -> None:
        """Out of the block first, then the files."""
        entries = self.entries()
        stay = [entry for entry in entries if entry.sequence != sequence]
        if len(stay) < len(entries):
            self._say(stay)
        self.path(Entry(sequence)).unlink(missing_ok=True)
        super().remove(sequence)

    def restore(self) -> str:
        """Write a damaged block, and what goes with it, once more: what was wrong, in words. Raises `OSError`."""
        entries, wrong = self.entries(), ""
        try:
            if {each.sequence for each in grubenv.read(self.block)} != {each.sequence for each in entries}:
                wrong = "the environment block of GRUB does not name the entries that are there"
            elif self.block.stat().st_size != grubenv.SIZE:
                wrong = "the environment block of GRUB has another size"
        except (OSError, ValueError) as error:
            wrong = str(error)
        if entries and wrong:
            self._say(entries)
        grubenv.write_good(self.good, entries)
        return wrong

    def _rename(self, sequence: int, to: Entry, *, check: bool) -> None:
        """As the verbs of esp.py have it: another count is another name there, and another number here."""
        entries = self.entries()
        if any(each.sequence == sequence and each != to for each in entries):
            self._say([to if each.sequence == sequence else each for each in entries])

    def _say(self, entries: list[Entry]) -> None:
        """The commit of every change."""
        if not entries:
            raise Refused("the last boot entry is not taken away")
        grubenv.write(self.block, entries)
        grubenv.write_good(self.good, entries)

    def _expected(self, sequence: int, uki: Path) -> bytes:
        return grub_config(sequence, uki, self.addon(sequence))

    def _named(self) -> list[Entry]:
        good, named = grubenv.read_good(self.good), list[Entry]()
        with contextlib.suppress(OSError, ValueError):
            named = grubenv.read(self.block)
        return [*named, *(each for each in good if each.sequence not in {one.sequence for one in named})]

    def _files(self) -> list[Entry]:
        found = [Entry.parse(path.name) for path in self.folder.iterdir()]
        return [entry for entry in found if entry and entry.plain and self._whole(entry)]

    def _whole(self, entry: Entry) -> bool:
        path = self.path(entry)
        return path.is_file() and bool(path.stat().st_size)

"""A box with a BIOS, without a machine: GRUB of a few lines (tests/assemble/boot/test_bios.py has the real one).

`power_on` does what GRUB and the initrd do: the block's first entry with tries is counted in the block; one that
cannot be started is passed; where the block is damaged `good.cfg` says what is started, and then the files.
"""

from dataclasses import replace

from toweros_agent import nouns
from toweros_agent.host.bios import grubenv
from toweros_agent.loop import Agent
from toweros_agent.nouns import Entry

from gitops.assemble.boot.bios import bios_files
from gitops.assemble.boot.pe import Section, add_sections
from gitops.assemble.boot.uki import make_uki
from tests.kit.pe import a_pe_file
from tests.simulators.box import Box, Made


def for_grub(made: Made) -> Made:
    """The same release, with boot files that can be taken apart."""
    uki = make_uki(a_pe_file(), b"a kernel", made.uki, "console=ttyS0")
    line = f"toweros.release={made.digest} toweros.sequence={made.sequence}"
    addon = add_sections(a_pe_file(), [Section(".cmdline", line.encode() + b"\0")])
    return replace(made, uki=uki, addon=addon)


class BiosBox(Box):
    """As `toweros box image --firmware bios` leaves a disk."""

    def _firmware(self) -> None:
        (self.esp / "grub").mkdir()
        self.block, self.good = self.esp / "grub" / "grubenv", self.esp / "grub" / "good.cfg"
        self.efivars_parent = self.root / "no-efi"

    def __init__(self, root: "object", server: str, tuf_root: bytes) -> None:
        super().__init__(root, server, tuf_root)  # type: ignore[arg-type]
        self.places = replace(self.places, efivars=self.efivars_parent / "efivars")

    def install(self, made: Made) -> None:
        """One more blessed entry; the newest is started first."""
        super().install(made)
        for path, data in bios_files(made.sequence, made.uki, made.addon).items():
            (self.esp / path).write_bytes(data)
        blessed = [
            Entry(int(path.name.removeprefix("toweros-").removesuffix(".efi"))) for path in self.linux.glob("*.efi")
        ]
        self.block.write_bytes(grubenv.encode(blessed))
        self.good.write_bytes(grubenv.encode_good(blessed))

    def entries(self) -> list[str]:
        """What GRUB would start, by the names that it gives them."""
        named = [entry for entry in self._block() or self._good() or self._files() if self._is_there(entry)]
        return sorted(entry.name for entry in named)

    def power_on(self) -> Agent | None:
        tried = [entry for entry in self._block() if not entry.bad]
        for entry in (*tried, *self._good(), *self._block(), *self._files()):
            started = self._counted(entry) if entry in tried else entry
            if not started or not self._is_there(started) or not self._loads(started):
                continue
            if self.hang and not started.plain:
                return self.power_on()
            why = self.started(started) or self._initrd(started.sequence)
            if not why:
                return self.start(started)
            (self.disk / "state" / f"why-{started.sequence}").write_text(why)
            if started.plain:
                self._write([replace(each, left=0, done=3) if each == started else each for each in self._block()])
            return self.power_on()
        return None

    def _counted(self, entry: Entry) -> Entry | None:
        if entry.plain:
            return entry
        if self.frozen or not entry.left:
            return None
        counted = Entry(entry.sequence, entry.left - 1, entry.done + 1)
        self._write([counted if each == entry else each for each in self._block()])
        return counted

    def _write(self, entries: list[Entry]) -> None:
        self.block.write_bytes(grubenv.encode(entries))

    def _block(self) -> list[Entry]:
        try:
            return grubenv.read(self.block)
        except (OSError, ValueError):
            return []

    def _good(self) -> list[Entry]:
        return grubenv.read_good(self.good)

    def _files(self) -> list[Entry]:
        found = [nouns.Entry.parse(path.name) for path in sorted(self.linux.glob("*.efi"))]
        return [entry for entry in found if entry]

    def _is_there(self, entry: Entry) -> bool:
        path = self.linux / f"toweros-{entry.sequence}.efi"
        return path.is_file() and bool(path.stat().st_size)

    def _loads(self, entry: Entry) -> bool:
        """GRUB reads by the numbers of grub.cfg: those of another UKI start nothing."""
        folder = self.linux / f"toweros-{entry.sequence}.efi.extra.d"
        try:
            uki, addon = (
                (self.linux / f"toweros-{entry.sequence}.efi").read_bytes(),
                (folder / "release.addon.efi").read_bytes(),
            )
            name = f"EFI/Linux/toweros-{entry.sequence}.efi.extra.d/grub.cfg"
            return (folder / "grub.cfg").read_bytes() == bios_files(entry.sequence, uki, addon)[name]
        except Exception:  # whatever is damaged
            return False

"""A machine's hardware with a disk of which every write, discard and flush is written down, in the order of their ends.

QEMU does it (its block driver `blklogwrites`, whose format is that of dm-log-writes): no module of the host is needed.

    Recorded.of(machine.hardware, folder / "writes.log")
"""

from dataclasses import dataclass, fields
from pathlib import Path

from gitops.lab.hardware import Hardware


@dataclass(frozen=True)
class Recorded(Hardware):
    """`log` begins empty, and goes on over resets: each of them is a new QEMU."""

    log: Path = Path("writes.log")

    @classmethod
    def of(cls, hardware: Hardware, log: Path) -> "Recorded":
        log.write_bytes(b"")
        return cls(**{each.name: getattr(hardware, each.name) for each in fields(Hardware)}, log=log)

    def command(self, name: str) -> list[str | Path]:
        words = super().command(name)
        place = next(place for place, word in enumerate(words) if str(word).startswith("if=none,id=disk"))
        append = "on" if self.log.stat().st_size else "off"
        disk = f"file.driver=file,file.discard=unmap,file.filename={self.disk.resolve()}"
        log = f"log.driver=file,log.filename={self.log.resolve()},log-append={append},log-super-update-interval=1"
        words[place - 1 : place + 1] = ["-blockdev", f"driver=blklogwrites,node-name=disk,discard=unmap,{disk},{log}"]
        return words

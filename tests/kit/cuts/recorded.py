"""A machine's hardware with a disk of which every write, discard and flush is written down, in the order of their ends.

QEMU does it (its block driver `blklogwrites`, whose format is that of dm-log-writes): no module of the host is needed.

    Recorded.of(machine.hardware, folder / "writes")
"""

from dataclasses import dataclass, fields
from pathlib import Path

from gitops.lab.hardware import Hardware


@dataclass(frozen=True)
class Recorded(Hardware):
    """Each start of QEMU, so each reset, has a log of its own in `logs`: appending (7.2) writes over the last ones."""

    logs: Path = Path("writes")

    @classmethod
    def of(cls, hardware: Hardware, logs: Path) -> "Recorded":
        logs.mkdir()
        return cls(**{each.name: getattr(hardware, each.name) for each in fields(Hardware)}, logs=logs)

    def command(self, name: str) -> list[str | Path]:
        words = super().command(name)
        log = self.logs.resolve() / f"{len([*self.logs.iterdir()]):03}"
        log.touch()
        place = next(place for place, word in enumerate(words) if str(word).startswith("if=none,id=disk"))
        disk = f"file.driver=file,file.discard=unmap,file.filename={self.disk.resolve()}"
        node = f"driver=blklogwrites,node-name=disk,discard=unmap,{disk},log.driver=file,log.filename={log}"
        words[place - 1 : place + 1] = ["-blockdev", node]
        # Merged requests may have as many pieces as the kernel takes (IOV_MAX); with the two of the log they fail.
        return [f"{word},request-merging=off" if str(word).startswith("virtio-blk-pci,") else word for word in words]

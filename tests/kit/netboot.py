"""A box that the network starts, without a machine: what it would be handed, and what it says."""

from dataclasses import dataclass

from gitops.model import Health, Phase, Report
from gitops.store import Store
from gitops.store.notes.netboot import BootSet, BootSets, Machines

MAC, UUID = "52:54:00:12:34:56", "5e2f8d7c-0000-4000-8000-00000000abcd"
OLD, NEW, NEWER = ("0" * 63 + digit for digit in "789")


def boot_set(store: Store, release: str, *, proven: bool = False, line: str = "quiet", size: int = 0) -> BootSet:
    """A set of small files, or of such with `size` bytes."""
    image, kernel, initrd = (
        store.blobs.put(f"{kind} {release}".encode().ljust(size)) for kind in ("image", "kernel", "initrd")
    )
    return BootSet(release, int(release[-1]), release, image, kernel, initrd, line, "", proven)


@dataclass
class Diskless:
    """One box of a store. Times are seconds."""

    store: Store
    name: str = "demo-1"
    counter: int = 0
    known_by: tuple[str, ...] = (MAC, UUID)

    def offer(self, *releases: str, size: int = 0) -> None:
        """The newest first; all others came up once."""
        first, *others = releases
        newest = boot_set(self.store, first, size=size)
        sets = (newest, *(boot_set(self.store, each, proven=True) for each in others))
        self.store.notes.put(BootSets(sets), self.name)
        rows = (self.store.notes.get(Machines) or Machines()).rows
        self.store.notes.put(Machines({**rows, **dict.fromkeys(self.known_by, self.name)}))
        if not self.store.boxes.row(self.name):
            self.store.boxes.enroll(self.name, "ab" * 32)

    def says(self, now: int, boot_id: str, release: str, health: Health = Health.HEALTHY, entry: str = "") -> None:
        """A report that was believed. `entry`: it was started from its disk."""
        self.counter += 1
        said = Report(self.name, boot_id, self.counter, now, "1", 7, release, release, Phase.IDLE, health, entry=entry)
        assert self.store.boxes.save_report(said, now)

"""Power cuts: run something in a child that ends at the k-th change of a disk, and lose what was not synced by then.

    while cut_at(point, disks, story, vfat=esp):     # False: it ran to its end, every point was seen
        point += EVERY                           # of the long stories; short ones see every point

Every file that is opened for writing counts as unsynced until `os.fsync` on it; a cut empties the unsynced ones. So
does a file that was renamed below `vfat`, though its content was synced before: the new record is written without size
and place, as tests/kit/cuts shows on the real one. Two files that exchanged their names lose nothing: each record has
the one content or the other.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from toweros_agent.host import renaming

CUT = 9
EVERY = int(os.environ.get("TOWEROS_EVERY", "3"))
"""The long stories end at every third change; `TOWEROS_EVERY=1` at each of them (`make soak`)."""
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR


def cut_at(point: int, disks: tuple[Path, ...], story: Callable[[], None], *, vfat: Path) -> bool:
    """Run `story` in a child without power from the `point`-th change on. False: it came to its end before."""
    child = os.fork()
    if child == 0:
        try:
            _Watch(point, disks, vfat)
            story()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, CUT), f"the story failed by itself: {code}"
    return code == CUT


class _Watch:
    """From now on, in this process."""

    def __init__(self, point: int, disks: tuple[Path, ...], vfat: Path) -> None:
        self.left, self.disks, self.vfat = point, disks, vfat
        self.unsynced: set[str] = set()
        self._fsync, self._exchange = os.fsync, renaming.exchange
        os.fsync = self.fsync  # type: ignore[assignment]
        renaming.exchange = self.exchange
        sys.addaudithook(self.hook)

    def hook(self, event: str, args: tuple[object, ...]) -> None:
        if event not in CHANGES or not self._ours(args[0]):
            return
        if event == "open" and not int(args[2] or 0) & WRITING:  # type: ignore[call-overload]
            return
        self.change()
        path = str(args[0])
        if event == "open":
            self.unsynced.add(path)
        elif event == "os.rename" and (path in self.unsynced or Path(path).is_relative_to(self.vfat)):
            self.unsynced.discard(path)
            self.unsynced.add(str(args[1]))

    def change(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.left = 10**9  # emptying is not a change of the story
            for path in filter(os.path.isfile, tuple(self.unsynced)):
                os.truncate(path, 0)
            os._exit(CUT)

    def fsync(self, handle: int) -> None:
        self._fsync(handle)
        self.unsynced.discard(str(Path(f"/proc/self/fd/{handle}").readlink()))

    def exchange(self, one: Path, other: Path) -> None:
        self.change()
        self._exchange(one, other)

    def _ours(self, path: object) -> bool:
        return isinstance(path, (str, os.PathLike)) and any(Path(path).is_relative_to(disk) for disk in self.disks)

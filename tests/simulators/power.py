"""Power cuts: run something in a child that ends at the k-th change of a disk, and lose what was not synced by then.

    while cut_at(point, disks, story):     # False: it ran to its end, every point was seen
        point += 1

Every file that is opened for writing counts as unsynced until `os.fsync` on it; a cut empties the unsynced ones.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

CUT = 9
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR


def cut_at(point: int, disks: tuple[Path, ...], story: Callable[[], None]) -> bool:
    """Run `story` in a child without power from the `point`-th change on. False: it came to its end before."""
    child = os.fork()
    if child == 0:
        try:
            _watch(point, disks)
            story()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, CUT), f"the story failed by itself: {code}"
    return code == CUT


def _watch(point: int, disks: tuple[Path, ...]) -> None:
    unsynced: set[str] = set()
    changes = 0
    real_fsync = os.fsync

    def ours(path: object) -> bool:
        return isinstance(path, (str, os.PathLike)) and any(Path(path).is_relative_to(disk) for disk in disks)

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal changes
        if event not in CHANGES or not ours(args[0]) or (event == "open" and not int(args[2] or 0) & WRITING):  # type: ignore[call-overload]
            return
        changes += 1
        if changes > point:
            changes = -(10**9)  # emptying is not a change of the story
            for path in filter(os.path.isfile, tuple(unsynced)):
                os.truncate(path, 0)
            os._exit(CUT)
        if event == "open":
            unsynced.add(str(args[0]))
        elif event == "os.rename" and str(args[0]) in unsynced:
            unsynced.discard(str(args[0]))
            unsynced.add(str(args[1]))

    def fsync(handle: int) -> None:
        real_fsync(handle)
        unsynced.discard(str(Path(f"/proc/self/fd/{handle}").readlink()))

    os.fsync = fsync  # type: ignore[assignment]
    sys.addaudithook(hook)

"""What the same command left last time is still there: then nothing is made, and next to nothing is loaded.

In: the words of a command; files that it read, and that it wrote. Out: whether all of them are as they were. Rules: so
is a file of which the kernel says the same (device, inode, size, times) in the same run of the machine: what was left
before a loss of power may be there by its size alone. What was read also counts when its bytes are the same. What is
younger than the clock can tell is not trusted. Standard library only: whoever asks wants an answer at once.

    last = Last(Path("assembled"), ["demo.yml", "raw-efi"])
    last.files() or last.remember(read, written, began)
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

NOTES = ".last"
BOOT = Path("/proc/sys/kernel/random/boot_id")
LARGEST = 4 << 20
"""Bytes of a file that is read to see whether it is the same."""
TICK_NS = 100_000_000
"""Of a file's time: what changes twice within it may look as if it had not (Linux counts it in jiffies)."""


class Last:
    """One command, in one working folder, of one program."""

    def __init__(self, folder: Path, words: Sequence[str]) -> None:
        said = [str(Path.cwd()), os.environ.get("HOME", ""), sys.executable, *words]
        name = hashlib.sha256(json.dumps(said).encode()).hexdigest()
        self._note = folder / NOTES / f"{name}.json"

    def files(self) -> list[Path]:
        """What was written, if nothing has changed since; else nothing."""
        try:
            note = json.loads(self._note.read_bytes())
            same = note["run"] == _run() and all(_seen(path) == seen for path, seen in note["seen"].items())
            same = same and all(_same(path, seen, digest) for path, (seen, digest) in note["read"].items())
            return [Path(path) for path in note["written"]] if same else []
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []

    def remember(self, read: Iterable[Path], written: Sequence[Path], began: int) -> None:
        """`began`: nanoseconds, before the first file was read. That it cannot be written is no trouble."""
        inputs = {str(path): _seen(path) for path in (*read, *_program())}
        if any(seen and max(seen[3:]) > began - TICK_NS for seen in inputs.values()):
            return
        # Whoever writes a file again as it was changes nothing; what was made is too large to be read for that.
        told = {path: (seen, _digest(path)) for path, seen in inputs.items()}
        seen = {str(path): _seen(path) for path in written}
        new = self._note.with_suffix(f".{os.getpid()}")
        try:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps({"run": _run(), "read": told, "seen": seen, "written": list(map(str, written))}))
            new.replace(self._note)
        except OSError:
            new.unlink(missing_ok=True)


def _seen(path: str | Path) -> list[int] | None:
    """None: there is nothing."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _same(path: str, seen: list[int] | None, digest: str) -> bool:
    return _seen(path) == seen or (bool(digest) and _digest(path) == digest)


def _digest(path: str) -> str:
    """Empty: there is none, or it is too large."""
    try:
        file = Path(path)
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.stat().st_size <= LARGEST else ""
    except OSError:
        return ""


def _run() -> str:
    return BOOT.read_text().strip()


def _program() -> list[Path]:
    """Our own files, as far as they were used: another version makes other files."""
    files = (
        getattr(module, "__file__", None)
        for name, module in sorted(sys.modules.items())
        if name.split(".")[0] == "gitops"
    )
    return [Path(file) for file in files if file]

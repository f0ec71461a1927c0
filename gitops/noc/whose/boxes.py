"""Whose content a site needs: a list, a file of names, those that Git says are there, or whoever asks.

In: what was said at the start, names that were heard or signed. Out: names. Rules: where a list or a site is given,
nobody else is known; else who asks is known for `REMEMBER`, at most `MOST`, and only if something is signed for it;
that outlives a restart.

    boxes = Boxes(Path("state/asked.json"), listed=("site-7",))
    boxes.heard("site-8"); boxes.names()
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from gitops.errors import SettingsError
from gitops.files.named import named
from gitops.model.machines.newcomer import role_of
from gitops.server.boxes.reports import is_name
from gitops.store.files.blobs import arriving

REMEMBER = 30 * 86400.0
MOST = 2000
MAX_FILE = 1 << 20


class Boxes:
    """The boxes of a site. Heard by the server's threads, asked by the pass."""

    def __init__(
        self, memory: Path, listed: Iterable[str] = (), file: Path | None = None, *, signed: bool = False
    ) -> None:
        self._memory, self._listed, self._file, self._signed = memory, tuple(listed), file, signed
        self._lock, self._asked, self._told = threading.Lock(), _remembered(memory), False
        for name in self._listed:
            if not _sound(name):
                raise SettingsError(f"--box {name}: no box can be called so")
        self.names()

    def names(self) -> set[str]:
        """Whose content is needed, as far as that was known at the last look.

        Raises:
            SettingsError: the file of names cannot be read.
        """
        with self._lock:
            signed = {*self._asked} if self._signed else set()
        return self.wanted() | signed

    def wanted(self) -> set[str]:
        """Whose content is needed, whatever is signed of sites. Raises as `names`."""
        if not self.open:
            return {*self._listed, *_read(self._file)}
        with self._lock:
            return {name for name, last in self._asked.items() if abs(time.time() - last) < REMEMBER}

    def stand_here(self, names: Iterable[str]) -> None:
        """Whom the signed metadata call boxes of the site: so a commit moves them. It outlives a restart."""
        with self._lock:
            if self._signed and {*self._asked} != {*names}:
                self._asked, self._told = dict.fromkeys(names, time.time()), True

    @property
    def open(self) -> bool:
        """Whether whoever asks is served."""
        return not (self._listed or self._file or self._signed)

    def knows(self, name: str) -> bool:
        return name in self.names()

    def heard(self, name: str) -> bool:
        """Somebody asks as this box: whether that is news."""
        if not self.open or not _sound(name):
            return False
        with self._lock:
            new = name not in self._asked
            if new and len(self._asked) >= MOST:
                return False
            self._asked[name] = time.time()
            self._told = True
            return new

    def forget(self, names: Iterable[str]) -> None:
        """Nothing is signed for these."""
        with self._lock:
            for name in names:
                self._told |= self._asked.pop(name, None) is not None

    def save(self) -> None:
        """Raises StoreError."""
        with self._lock:
            if not self._told:
                return
            data, self._told = json.dumps(self._asked, sort_keys=True).encode(), False
        with arriving(self._memory) as new:
            new.write_bytes(data)


def _sound(name: str) -> bool:
    return is_name(name) or bool(role_of(name))


def _remembered(memory: Path) -> dict[str, float]:
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
        rows = json.loads(memory.read_bytes()).items()
        return {name: float(last) for name, last in rows if _sound(name)}
    return {}


def _read(file: Path | None) -> list[str]:
    """One name a line; `#` begins a remark."""
    if file is None:
        return []
    try:
        text = named(file, MAX_FILE).decode()
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}", hint="name a file with one box a line") from error
    except ValueError as error:
        raise SettingsError(f"{file}: it is no text in UTF-8", hint="one box a line") from error
    names = [(number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), 1)]
    for number, name in names:
        if name and not _sound(name):
            raise SettingsError(f"{file}:{number}: {name[:80]!r}: no box can be called so", hint="one box a line")
    return [name for _, name in names if name]

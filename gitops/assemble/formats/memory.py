"""What was made once is found again by what it is made of.

In: a folder, keys, and who makes what is not there. Out: files. Rules: a file is named by its own SHA-256 inside of a
folder named by its key, appears whole, and is compared with its name whenever it is used: a damaged one is made again.
Nothing is synced, for the same reason. What nobody used for a month goes.

    memory = Memory(Path("assembled"))
    memory.get(key, lambda target: target.write_bytes(b"..."))      # assembled/KEY/SHA256
"""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from gitops.errors import AssembleError
from gitops.files.whole import held
from gitops.store.files.blobs import digest_file

MONTH = 30 * 24 * 3600.0
NEW = ".new-"


class Memory:
    """Files by key, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str, make: Callable[[Path], object]) -> Path:
        """The file of a key; `make` writes it, when it is not there or damaged.

        Raises:
            AssembleError: it cannot be written.
        """
        place = self._folder / key
        existing = self._whole(place)
        if existing:
            return existing
        try:
            return self._made(place, make)
        except OSError as error:
            raise self._trouble(error) from error

    def room(self) -> Path:
        """A folder on the same file system, for work that nobody remembers.

        Raises:
            AssembleError: there is no such place.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._trouble(error) from error
        return self._folder

    def forget(self, age: float = MONTH) -> int:
        """Remove what was not used for `age` seconds; how many bytes that were. None, while somebody uses it.

        Raises:
            AssembleError: somebody uses it, and all of it was to go.
        """
        if not self._folder.is_dir():
            return 0
        with held(self._folder, wait=False) as alone:
            if not alone and not age:
                hint = "type it again when that is done"
                raise AssembleError(f"{self._folder}: another `toweros assemble` is at work there", hint=hint)
            return self._forget(age) if alone else 0

    def kept(self) -> AbstractContextManager[object]:
        """Meanwhile nothing of it is forgotten. Others may use it, too.

        Raises:
            AssembleError: there is no such place.
        """
        return held(self.room(), shared=True)

    def _forget(self, age: float) -> int:
        size, oldest = 0, time.time() - age
        for place in list(self._folder.glob("*")):
            files = [path for path in place.glob("*") if path.is_file()] if place.is_dir() else []
            if max((path.stat().st_mtime for path in [place, *files]), default=0) <= oldest:
                size += sum(path.stat().st_size for path in files)
                shutil.rmtree(place, ignore_errors=True)
        return size

    def _trouble(self, error: OSError) -> AssembleError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "`toweros cache clean --assembled` makes room" if full else "name another folder with --state"
        return AssembleError(f"cannot write below {self._folder}: {error.strerror}", hint=hint)

    def _whole(self, place: Path) -> Path | None:
        try:
            (path,) = place.iterdir()
            if digest_file(path).sha256 != path.name:
                return None
            os.utime(path)
        except (OSError, ValueError):
            return None
        return path

    def _made(self, place: Path, make: Callable[[Path], object]) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=NEW) as scratch:
            work = Path(scratch, "work")
            work.mkdir()
            new = work / "file"
            make(new)
            name = digest_file(new).sha256
            new.chmod(0o644)
            new.rename(work / name)
            try:
                work.rename(place)
            except OSError:
                if whole := self._whole(place):  # somebody else made the same in the meantime
                    return whole
                place.rename(Path(scratch, "damaged"))
                work.rename(place)
        return place / name

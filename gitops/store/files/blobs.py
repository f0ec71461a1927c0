"""Files by digest: `blobs/sha256/HEX` for anything, `layers/ROOT` for EROFS images and their compressed copies.

Rules: written under a temporary name in the same folder, synced, renamed; a reader sees a whole file or none, whatever
happens to the power. A name is checked before it becomes a path: hex only.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from gitops.errors import AssembleError, ProcessError, StoreError
from gitops.model import BlobRef, Layer
from gitops.store.files.verity import root_hash

HEX = re.compile(r"[0-9a-f]{64}")
CHUNK = 1 << 20


def _checked(name: str) -> str:
    if not HEX.fullmatch(name):
        raise StoreError(f"{name!r} is not a digest")
    return name


def digest_file(path: Path) -> BlobRef:
    """The SHA-256 and size of a file, read in chunks."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return BlobRef(digest, path.stat().st_size)


Mark = tuple[int, ...]
"""A file as it was seen."""
LOST = (errno.ENOENT, errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.ENODATA)
"""How a disk says that it has a file no more; too many open files, or no memory, is another thing."""


def mark_of(path: Path) -> Mark:
    """By which a file is known again without being read. Raises OSError."""
    known = path.stat()
    return known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns


class Proven:
    """Files that were read and are what their names say: once in a process, and again when they are other files."""

    def __init__(self) -> None:
        self._marks = dict[Path, Mark]()

    def holds(self, path: Path, judge: Callable[[Path], bool]) -> bool:
        """Whether it is. A file that the disk does not give, or not all of it, is not.

        Raises:
            OSError: this process can read nothing now: that says nothing of the file.
        """
        try:
            mark = mark_of(path)
            if self._marks.get(path) == mark:
                return True
            if not judge(path):
                return False
        except OSError as error:
            if error.errno not in LOST:
                raise
            return False
        except (AssembleError, ProcessError):
            return False
        self._marks[path] = mark
        return True


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def arriving(target: Path, folder: Path | None = None) -> Iterator[Path]:
    """A temporary file, in `folder` or beside `target`: on a clean exit it is synced and takes `target`'s name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".new-", dir=folder or target.parent)
    os.close(handle)
    new = Path(name)
    try:
        yield new
        with new.open("rb") as stream:
            os.fsync(stream.fileno())
        new.chmod(0o644)
        new.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror}", hint="is the disk full?") from error
    finally:
        new.unlink(missing_ok=True)


class Blobs:
    """Content-addressed files, named by SHA-256."""

    def __init__(self, root: Path, *, ours: bool = False) -> None:
        """`ours`: what is damaged is taken away when it is read, so that it is made or fetched again."""
        self._root, self._ours = root, ours
        self._proven = Proven()

    def path(self, digest: str) -> Path:
        return self._root / _checked(digest)

    def proven(self, ref: BlobRef) -> bool:
        """Whether the file is what its name says (`Proven`)."""
        return self._proven.holds(self.path(ref.sha256), lambda path: digest_file(path) == ref)

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def read(self, digest: str) -> bytes:
        """The bytes of a blob, digest checked.

        Raises:
            StoreError: it is missing or damaged.
        """
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise StoreError(f"blob sha256:{digest} is missing from the store") from error
        if hashlib.sha256(data).hexdigest() != digest:
            if self._ours:
                with contextlib.suppress(OSError):
                    self.remove(digest)
            hint = f"the next pass makes it again; look after {self._root}"
            raise StoreError(f"blob sha256:{digest} was damaged on disk", hint=hint)
        return data

    def put(self, data: bytes) -> BlobRef:
        ref = BlobRef(hashlib.sha256(data).hexdigest(), len(data))
        if not self.has(ref.sha256):
            with arriving(self.path(ref.sha256)) as new:
                new.write_bytes(data)
        return ref

    def put_file(self, path: Path, *, move: bool = False) -> BlobRef:
        """Take a file in; `move` gives the original away (a rename on the same file system)."""
        ref = digest_file(path)
        if not self.has(ref.sha256):
            with arriving(self.path(ref.sha256)) as new:
                _take(path, new, move)
        elif move:
            path.unlink()
        return ref

    def remove(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)

    def names(self) -> frozenset[str]:
        """The digests of all blobs."""
        return _names(self._root)


class Layers:
    """EROFS images by verity root, with what the server sends of them: a zstd copy and deltas."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._proven = Proven()

    def path(self, root: str) -> Path:
        return self._root / _checked(root)

    def proven(self, layer: Layer) -> bool:
        """Whether the file is what its name says (`Proven`)."""
        return self._proven.holds(
            self.path(layer.root), lambda path: path.stat().st_size == layer.size and root_hash(path) == layer.root
        )

    def zst(self, root: str) -> Path:
        return self._root / f"{_checked(root)}.zst"

    def delta(self, from_: str, to: str) -> Path:
        return self._root / "deltas" / _checked(from_) / f"{_checked(to)}.zst"

    def twice(self, from_: str, to: str) -> Path:
        """The delta, packed once more."""
        return self._root / "deltas" / _checked(from_) / f"{_checked(to)}.zst.zst"

    def has(self, root: str) -> bool:
        return self.path(root).is_file()

    def add(self, file: Path, root: str) -> None:
        """Move a finished image in. The caller has computed `root` from its bytes."""
        if self.has(root):
            file.unlink()
            return
        with arriving(self.path(root)) as new:
            _take(file, new, True)

    def remove(self, root: str) -> None:
        """Forget a layer, its copy and every delta from or to it."""
        self.path(root).unlink(missing_ok=True)
        self.zst(root).unlink(missing_ok=True)
        shutil.rmtree(self._root / "deltas" / root, ignore_errors=True)
        for delta in self._root.glob(f"deltas/*/{root}.zst*"):
            delta.unlink(missing_ok=True)

    def deltas(self) -> list[Path]:
        return sorted(self._root.glob("deltas/*/*.zst"))

    def names(self) -> frozenset[str]:
        """The roots of all layers."""
        return _names(self._root)


def _names(folder: Path) -> frozenset[str]:
    """One listing: to ask for each file by itself takes a hundred times as long."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if HEX.fullmatch(entry.name))
    except FileNotFoundError:
        return frozenset()


def _take(path: Path, new: Path, move: bool) -> None:
    if move and path.stat().st_dev == new.parent.stat().st_dev:
        path.replace(new)
        return
    shutil.copyfile(path, new)
    if move:
        path.unlink()

"""What the repository around a folder says of its files: which stay out of Git, and with which mode and bytes others
get in.

In: the folder, a path below it. Out: whether Git would leave it out, the mode and the bytes that a commit has.
Rules: what .gitignore, .gitattributes, info/attributes and the repository's configuration say counts, as in Git; of the
machine's own configuration what changes bytes (`core.autocrlf`, the programs of filters), for `git add` heeds it here,
and whoever fetches the commit has what it made. No program is run: a file that one would change is refused by name.

    rules = Rules(Path("fleet"))
    rules.ignores("out/x", False), rules.added("a.txt", Path("fleet/a.txt"))
"""

import hashlib
import os
from pathlib import Path, PurePosixPath

import pygit2

from gitops.errors import SourceError
from gitops.fleet.documents.files import MAX_POINTER, is_pointer
from gitops.source.clone.found import around
from gitops.source.folder.added import Attributes, Value, added
from gitops.source.objects.bounds import FILE, LINK, PROGRAM

ATTRIBUTES, LFS = ".gitattributes", "lfs"
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
"""git-config(1), Values, boolean."""
_PROGRAMS = ("clean", "process")
"""What a filter may run when a file is added (gitattributes(5), `filter`)."""


class Rules:
    """Of the repository around a folder, or of none."""

    def __init__(self, folder: Path) -> None:
        self._repository = around(folder)
        self._prefix = ""
        self._tracked: dict[str, tuple[int, str]] = {}
        self._modes = self._links = True
        top = Path(self._repository.workdir).resolve() if self._repository and self._repository.workdir else None
        if self._repository is None or top is None or not folder.is_relative_to(top):
            self._repository = None
            return
        inside = folder.relative_to(top).as_posix()
        self._prefix = "" if inside == "." else inside + "/"
        self._tracked = {entry.path: (int(entry.mode), str(entry.id)) for entry in self._repository.index}
        self._configured = [self._repository.config, *_machine()]
        self._auto = self._said("core.autocrlf").lower() in (*YES, "input")
        self._modes, self._links = (self._said(f"core.{word}").lower() not in NO for word in ("filemode", "symlinks"))

    def ignores(self, path: str, folder: bool) -> bool:
        """Whether Git would leave a path out."""
        if self._repository is None:
            return False
        full = self._prefix + path
        if not _is_text(full):
            return False  # who reads its name refuses it
        # gitignore(5): a pattern that ends with a slash matches folders alone, so it must see the slash.
        if not self._repository.path_is_ignored(full + "/" * folder):
            return False
        return not (any(t.startswith(full + "/") for t in self._tracked) if folder else full in self._tracked)

    def mode(self, path: str, program: bool) -> int:
        """Git's mode of a plain file: where the file system has none, what it was (core.fileMode, core.symlinks)."""
        before, _ = self._tracked.get(self._prefix + path, (0, ""))
        if before == LINK and not self._links:
            return LINK
        if self._modes:
            return PROGRAM if program else FILE
        return before if before in (FILE, PROGRAM) else FILE

    def lfs(self, path: str) -> bool:
        """Whether a commit would have a pointer of Git LFS in its place (gitattributes(5), `filter`)."""
        return self._attribute(path, "filter") == LFS

    def added(self, path: str, place: Path) -> bytes:
        """The bytes that a commit would have.

        Raises:
            SourceError: only a program of this machine knows, or nobody.
        """
        if self._repository is None:
            return place.read_bytes()
        name = self._attribute(path, "filter")
        if name == LFS:
            return pointer(place)
        if isinstance(name, str) and (program := self._program(name)):
            hint = f"take it out and commit what is to be built, or `git config --unset {program}` where that is set"
            where = self._where(path, f"filter={name}")
            raise SourceError(f"{path}: {where}: `{program}` writes other bytes into Git than lie here", hint=hint)
        data, encoding = place.read_bytes(), self._attribute(path, "working-tree-encoding")
        if not encoding and b"\r\n" not in data and b"$Id:" not in data:
            return data  # most files: each attribute that is asked for takes its time
        words = {key: self._attribute(path, key) for key in ("text", "crlf", "eol", "ident")}
        try:
            return added(data, Attributes(**words, encoding=encoding, auto=self._auto), lambda: self._before(path))
        except ValueError as error:
            where = self._where(path, "working-tree-encoding=")
            hint = "save the file as UTF-8, and take the attribute out: a box gets what is in Git"
            raise SourceError(f"{path}: {where}: is {encoding}, {error}", hint=hint) from error

    def _attribute(self, path: str, name: str) -> Value:
        if self._repository is None or not _is_text(path):
            return None
        value: Value = self._repository.get_attr(self._prefix + path, name)
        return value

    def _before(self, path: str) -> bytes:
        _, identity = self._tracked.get(self._prefix + path, (0, ""))
        try:
            blob = self._repository[identity] if identity and self._repository is not None else None
        except (KeyError, ValueError, pygit2.GitError):
            return b""  # a partial clone, or a damaged one: as if it were new
        return blob.data if isinstance(blob, pygit2.Blob) else b""

    def _said(self, key: str) -> str:
        """A setting: the repository's, else the machine's."""
        for config in self._configured:
            try:
                return str(config[key])
            except (KeyError, ValueError, pygit2.GitError):
                continue
        return ""

    def _program(self, name: str) -> str:
        """The setting that names what a filter runs; empty: nothing, and Git takes the file as it lies."""
        return next((key for word in _PROGRAMS if self._said(key := f"filter.{name}.{word}")), "")

    def _where(self, path: str, words: str) -> str:
        """File and line of an attribute, the nearest file first, as Git asks them."""
        top = Path(self._repository.workdir) if self._repository is not None else Path()
        places = [(parent / ATTRIBUTES).as_posix() for parent in PurePosixPath(self._prefix + path).parents]
        for place in places:
            lines = _lines(top / place)
            if number := next((at for at in range(len(lines), 0, -1) if words in lines[at - 1]), 0):
                return f"{place}:{number}"
        return "info/attributes, or core.attributesFile"


def _is_text(path: str) -> bool:
    """Whether a name is UTF-8, as libgit2's of ours must be."""
    return not any("\ud800" <= letter <= "\udfff" for letter in path)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _machine() -> list[pygit2.Config]:
    """The user's and the system's configuration (git-config(1), FILES), those that are there."""
    own = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    user = os.environ.get("GIT_CONFIG_GLOBAL")
    files = [Path(user)] if user else [Path.home() / ".gitconfig", Path(own) / "git/config"]
    files += (
        [] if os.environ.get("GIT_CONFIG_NOSYSTEM") else [Path(os.environ.get("GIT_CONFIG_SYSTEM", "/etc/gitconfig"))]
    )
    configs = []
    for file in files:
        try:
            configs += [pygit2.Config(str(file))] if file.is_file() else []
        except (OSError, ValueError, pygit2.GitError):
            continue  # Git says more of it than we could
    return configs


def pointer(file: Path) -> bytes:
    """What `git add` puts into Git in place of a file that Git LFS keeps (git-lfs, docs/spec.md); a pointer stays."""
    with file.open("rb") as content:
        start = content.read(MAX_POINTER)
        if not start or (is_pointer(start) and not content.read(1)):
            return start
        content.seek(0)
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (
            digest.encode(),
            content.tell(),
        )

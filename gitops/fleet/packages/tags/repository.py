"""What Git says of folders: the ids of their trees, and whether they differ from the last commit.

In: folders of any repositories, as they are named. Out: facts, as LinuxKit's pkglib of 2026 takes them from `git`.
Rules: Git itself is asked, but once for all folders of a repository and not seven times for each; only a dirty one is
looked at by itself. A folder that is reached by a link counts as Git counts it: the link is what was committed.

    repositories = Repositories("HEAD", [Path("pkg/sshd")])
    repositories.of(folder).tree(folder)
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from gitops.errors import ProcessError, SourceError
from gitops.process import run

HEAD = "HEAD"
TIMEOUT = 300.0
"""Seconds that one question may take: the first look at a large working tree reads all of it."""
MAX_WORDS = 64 << 10
"""Bytes of a command's arguments; beyond that, Git is asked for everything."""
CHUNK = 1 << 20
PATTERN = frozenset("*?[\\")
"""Letters that make a path a pattern for Git (gitglossary, pathspec)."""
_SHA1 = re.compile("[0-9a-f]{40}")


class Repositories:
    """The repositories around folders; each is asked once. `folders` are those whose dirt will be asked for."""

    def __init__(self, commit: str, folders: Iterable[Path]) -> None:
        self._commit = commit
        self._tops: dict[str, str] = {}
        self._open: dict[str, Repository] = {}
        self._folders = list(folders)

    def of(self, folder: Path) -> "Repository | None":
        """The repository that a folder lies in; None: it lies in none, or Git does not trust it.

        Raises:
            SourceError: it lies in a repository's own folder, which has no files of its own.
        """
        top = self._top(folder)
        if not top:
            return None
        if top not in self._open:
            self._open[top] = Repository(top, self._commit, self._folders)
        return self._open[top]

    def _top(self, folder: Path) -> str:
        place = _holder(os.path.realpath(folder))
        if not place:
            return _ask_top(folder)
        if place not in self._tops:
            self._tops[place] = _ask_top(Path(place))
        return self._tops[place]


class Repository:
    """One working tree."""

    def __init__(self, top: str, commit: str, folders: Sequence[Path]) -> None:
        self._top, self._commit = top, commit
        names = (self._name(folder) for folder in folders)
        self._asked = [name for name in names if name is not None]
        self._ids: dict[str, str] = {}
        self._changed: list[str] | None = None

    def tree(self, folder: Path) -> str:
        """The id of what was committed at a folder: of its tree; of the link, where it is one.

        Raises:
            SourceError: there is no such commit, or it has no such folder.
        """
        name = self._name(folder)
        if name is None:
            hint = "name the folder by its own path, not by a link from outside"
            raise SourceError(f"{folder} is outside of the repository {self._top}", hint=hint)
        if name not in self._ids:
            self._look_up([name, *self._asked])
        digest = self._ids[name]
        if not self._ids[""]:
            raise SourceError(f"{self._top} has no commit {self._commit}", hint="commit something, or name a commit")
        if not digest:
            raise SourceError(f"{folder} is not in Git", hint="`git add` and `git commit` it")
        if name and not _SHA1.fullmatch(digest):  # of a commit's own tree it takes whatever Git prints
            raise SourceError(
                f"{self._top} is a repository of another format than SHA-1", hint="LinuxKit knows no other"
            )
        return digest

    def dirty(self, folder: Path) -> bool:
        """Whether a folder differs from HEAD, with files that nobody added; against another commit none does."""
        if self._commit != HEAD:
            return False
        name = self._name(folder)
        if name is None:
            return True
        if set(name) & PATTERN:
            return self._dirty_by_pattern(f"{self._top.rstrip('/')}/{name}")
        if self._changed is None or name not in self._asked:
            self._asked = sorted({*self._asked, name})
            self._changed = self._compare()
        return any(not name or path == name or path.startswith(f"{name}/") for path in self._changed)

    def _dirty_by_pattern(self, path: str) -> bool:
        """LinuxKit hands a name to Git as it is: with such a letter in it, it is a pattern, and other folders count."""
        git = ["git", "-C", self._top]
        try:
            run([*git, "diff", "--no-ext-diff", "--quiet", HEAD, "--", path], timeout=TIMEOUT)
            return bool(run([*git, "ls-files", "--exclude-standard", "--others", "--", path], timeout=TIMEOUT))
        except ProcessError as error:
            if error.code is None:
                raise
            return True

    def _look_up(self, names: Sequence[str]) -> None:
        """Ids of many paths from one process; it cannot be asked for a name with a line end."""
        asked = list(dict.fromkeys(["", *(name for name in names if "\n" not in name)]))
        self._ids |= dict.fromkeys(names, "")
        commit = "" if "\n" in self._commit else self._commit
        lines = "".join(f"{commit}:{name}\n" if name else f"{commit}^{{tree}}\n" for name in asked)
        command = ["git", "-C", self._top, "cat-file", "--batch-check=%(objectname)"]
        answers = run(command, stdin=os.fsencode(lines), timeout=TIMEOUT).decode(errors="replace").splitlines()
        for name, answer in zip(asked, answers, strict=True):
            self._ids[name] = "" if answer.endswith((" missing", " ambiguous")) else answer.partition(" ")[0]
        for name in {name for name in names if "\n" in name and self._ids[""]}:
            self._ids[name] = _git(Path(self._top), "rev-parse", "--verify", f"{self._ids['']}:{name}").decode().strip()

    def _compare(self) -> list[str]:
        """Paths below the asked folders that differ from HEAD or that Git does not know."""
        paths = [name or "." for name in self._asked]
        limits = paths if sum(map(len, paths)) < MAX_WORDS and "." not in paths else []
        git = ["git", "--literal-pathspecs", "-C", self._top]
        try:
            differ = run(
                [*git, "diff", "--no-ext-diff", "--no-renames", "--name-only", "-z", HEAD, "--", *limits],
                timeout=TIMEOUT,
            )
            unknown = run([*git, "ls-files", "--exclude-standard", "--others", "-z", "--", *limits], timeout=TIMEOUT)
        except ProcessError as error:
            if error.code is None:
                raise
            return list(self._asked)  # as LinuxKit: what cannot be compared is dirty
        return [os.fsdecode(path) for path in (differ + unknown).split(b"\0") if path]

    def _name(self, folder: Path) -> str | None:
        """A folder as the repository names it; None: it leads in from outside (Git, abspath_part_inside_repo)."""
        words = str(folder)
        if words == self._top or words.startswith(self._top.rstrip("/") + "/"):
            return words[len(self._top) :].strip("/")
        for parent in reversed(folder.parents):
            if os.path.realpath(parent) == self._top:
                return str(folder.relative_to(parent))
        return None


def content(folder: Path) -> str:
    """SHA-256 over the bytes of all files of a folder as they are now, as LinuxKit marks a dirty one.

    Links, folders, and names that Git writes in quotes do not count there.
    """
    digest = hashlib.sha256()
    listed = (_git(folder, "ls-files"), _git(folder, "ls-files", "--exclude-standard", "--others"))
    for name in b"\n".join(listed).strip().split(b"\n"):
        path = folder / os.fsdecode(name.removesuffix(b"\r"))
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
        except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError):
            continue
    return digest.hexdigest()


def _holder(path: str) -> str:
    """The nearest folder around a path that has a `.git`; empty: ask for this path alone."""
    if ".git" in path.split("/"):
        return ""
    return next((str(each) for each in (Path(path), *Path(path).parents) if os.path.lexists(each / ".git")), "")


def _ask_top(folder: Path) -> str:
    """Where the working tree begins that a folder lies in; empty: in none."""
    try:
        inside = _git(folder, "rev-parse", "--is-inside-work-tree", "--show-toplevel").decode(errors="surrogateescape")
    except ProcessError as error:
        if error.code is None:
            raise
        if "must be run in a work tree" in error.log or ".git" in os.path.realpath(folder).split("/"):
            raise SourceError(f"{folder} is inside of a `.git`", hint="name a folder of the working tree") from error
        return ""
    word, _, top = inside.partition("\n")
    if word != "true":
        raise SourceError(f"{folder} is inside of a `.git`", hint="name a folder of the working tree")
    return top.removesuffix("\n")


def _git(folder: Path, *words: str) -> bytes:
    return run(["git", "-C", str(folder), *words], timeout=TIMEOUT)

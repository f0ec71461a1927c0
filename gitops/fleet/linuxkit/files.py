"""LinuxKit YAML from where `linuxkit build` takes it: the working folder, stdin, a server.

In: names: paths (also `~/...`), `-`, http and https URLs. Out: a tree that `load` reads. Rules: what comes over the
network, or from stdin, is read once, within a bound; nothing else is looked at than what is named.

    files = WorkingFolder.holding(["base.yml", "-", "https://specs.example/top.yml"], sys.stdin.buffer)
    load(files, ["base.yml", "-", "https://specs.example/top.yml"], problems)
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from gitops.errors import FleetError, Problem
from gitops.files.named import UnfitError, named
from gitops.model import Entry

STDIN = "-"
REMOTE = ("http://", "https://")
MAX_SPEC, MAX_SOURCE = 4 << 20, 256 << 20
"""Bytes of a spec, and of a file that one takes by `source:`."""
BOUNDS = {"connect": 10, "silence": 20, "longest": 60, "largest": MAX_SPEC}
OK = 200


class WorkingFolder:
    """The files below the working folder (or at absolute paths), read when asked for; `given`: others by name. `asked`
    are the files that somebody wanted, whether they are there or not."""

    def __init__(self, given: Mapping[str, bytes] | None = None, specs: Sequence[str] = ()) -> None:
        self._given, self._specs = dict(given or {}), frozenset(specs)
        self.asked: set[Path] = set()

    @classmethod
    def holding(cls, names: Sequence[str], stdin: BinaryIO) -> "WorkingFolder":
        """With what comes from stdin and from servers.

        Raises:
            FleetError: a server does not give it, or it is larger than a spec may be.
        """
        given = {}
        for name in dict.fromkeys(names):
            if name == STDIN:
                given[name] = _bounded(name, stdin.read(MAX_SPEC + 1))
            elif name.startswith(REMOTE):
                given[name] = _fetched(name)
        return cls(given, names)

    def entries(self) -> Mapping[str, Entry]:
        return _Entries(self)

    def read(self, path: str) -> bytes:
        if path in self._given:
            return self._given[path]
        try:
            self.asked.add(place := _place(path))
            return named(place, MAX_SPEC if path in self._specs else MAX_SOURCE)
        except UnfitError as error:
            what = "a spec is" if path in self._specs else "`source:` is"
            raise _error(path, f"it {error.strerror}", f"{what} a file of its own") from error
        except (OSError, ValueError, RuntimeError) as error:
            raise KeyError(path) from error

    def tree_id(self, folder: str) -> str:
        raise KeyError(folder)


class _Entries(Mapping[str, Entry]):
    """Files by path, looked at one by one: nobody lists a working folder."""

    def __init__(self, folder: WorkingFolder) -> None:
        self._folder = folder

    def __getitem__(self, path: str) -> Entry:
        return Entry(path, 0o100644, "", len(self._folder.read(path)))

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _place(path: str) -> Path:
    return Path(path).expanduser() if path.startswith("~/") else Path(path)


def _fetched(url: str) -> bytes:
    from gitops.web.ask import Bounds, WebError, ask  # takes long to load

    try:
        with ask(url, Bounds(**BOUNDS)) as answer:
            if answer.status != OK:
                raise _error(url, f"the server answers {answer.status}", "is the URL right?")
            return _bounded(url, answer.read())
    except WebError as error:
        raise _error(url, f"it cannot be fetched: {error}", "fetch it yourself, and name the file or `-`") from error


def _bounded(name: str, data: bytes) -> bytes:
    if len(data) > MAX_SPEC:
        raise _error(name, f"it has more than {MAX_SPEC} bytes", "a spec is a few KiB of YAML")
    return data


def _error(name: str, message: str, hint: str) -> FleetError:
    return FleetError([Problem("stdin" if name == STDIN else name, 0, 0, message, hint)], "the specs")

"""One pass over one place: what is missing is put there, and what the server has forgotten for long is taken away.

In: what the server serves now, the place, what is remembered of it. Out: what was done, or why it ended. Rules:

- Timestamps are read before anything else, and put last: whatever is published meanwhile, what they lead to is there.
- Nothing goes that the server still serves. What it forgot (by its own rules, after its own grace) goes after the same
  grace once more: so what an empty store, or one from a backup, does not know yet is not lost. Roots stay.
- A place that holds another fleet's files is left alone.
- What was put is asked for again: a place that gives yesterday's is told of.

    copying = Copying(tree, place, grace=604800)
    copied = copying.run(memory, time.time())
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from gitops.errors import PublishError
from gitops.publish.elsewhere.kinds import TIMESTAMP, Kind, kind_of
from gitops.publish.elsewhere.place import Place
from gitops.publish.elsewhere.tree import Source, Tree

AT_ONCE = 8
"""Files that travel at the same time."""
LIST_EVERY = 3600.0
"""Seconds between two lists of a place that gave no trouble; what somebody deleted there is missed so long."""
MOST = 64 << 10
"""Bytes of a timestamp."""
READ_BACK = 50
"""Timestamps that are asked for again by one pass, beside the fleet's own."""
FIRST_ROOT = "metadata/1.root.json"
MAX_ROOT = 4 << 20


@dataclass(frozen=True)
class Memory:
    """`done`: when the last pass began that came to its end (Unix seconds; 0: none did). `gone`: since when the server
    does not serve what the place still has."""

    done: int = 0
    gone: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Copied:
    """Files and bytes that were put, files that were removed; `mended`: what the place had lost, or served instead."""

    memory: Memory
    put: int = 0
    size: int = 0
    removed: int = 0
    mended: tuple[str, ...] = ()


class Copying:
    """Of one place. `grace`: seconds. `still` raises where we are the controller no more: another one's newer timestamp
    must not be followed by our older one."""

    def __init__(self, tree: Tree, place: Place, grace: int, still: Callable[[], None] = lambda: None) -> None:
        self._tree, self._place, self._grace, self._still = tree, place, grace, still
        self._known: dict[str, int] | None = None
        self._listed, self._turn = 0.0, 0
        self._said: dict[str, bytes] = {}

    def run(self, memory: Memory, now: float) -> Copied:
        """One pass.

        Raises:
            PublishError: the place, or a file of ours; the next pass goes on.
        """
        self._still()
        stamps = self._tree.stamps()
        if TIMESTAMP not in stamps:
            return Copied(memory)
        try:
            return self._pass(stamps, self._tree.files(), memory, now)
        except Exception:
            self._known = None  # whatever it was: the next pass asks what is there
            raise

    def _pass(self, stamps: Mapping[str, bytes], files: Mapping[str, Source], memory: Memory, now: float) -> Copied:
        lost = self._list(now)
        known = self._known or {}
        self._ours(files.get(FIRST_ROOT))
        todo = {path: each for path, each in files.items() if _missing(path, each, known, memory)}
        self._put_files(todo)
        self._still()
        stale = self._put_stamps(stamps)
        others = {path for path in known.keys() - files.keys() - stamps.keys() if not _kind(path).stays}
        gone = {path: memory.gone.get(path, int(now)) for path in others}
        removed = self._remove(path for path, since in gone.items() if now - since >= self._grace)
        left = {path: since for path, since in gone.items() if path not in removed}
        mended = tuple(f"{path} was gone" for path in sorted(lost & (files.keys() | stamps.keys()))) + stale
        size = sum(each.size for each in todo.values())
        return Copied(Memory(int(now), left), len(todo), size, len(removed), mended)

    def _list(self, now: float) -> set[str]:
        """What it has, asked now and then. Returns what it had, and has no more."""
        if self._known is not None and now - self._listed < LIST_EVERY:
            return set()
        before = set(self._known or ())
        self._known, self._listed = self._place.listed(), now
        return before - self._known.keys()

    def _ours(self, first: Source | None) -> None:
        theirs = self._place.read(FIRST_ROOT, MAX_ROOT)
        if first and theirs is not None and theirs != first.place.read_bytes():
            raise PublishError(
                f"{self._place.name}: another fleet's files are there", hint="give each fleet a folder or prefix"
            )

    def _put_files(self, todo: Mapping[str, Source]) -> None:
        """All of one rank, then those of the next."""
        ranked = sorted(todo, key=lambda path: (_kind(path).rank, path))
        for _, paths in groupby(ranked, key=lambda path: _kind(path).rank):
            with ThreadPoolExecutor(AT_ONCE) as workers:
                try:
                    list(workers.map(lambda path: self._put(path, todo[path]), paths))
                finally:
                    workers.shutdown(cancel_futures=True)

    def _put(self, path: str, source: Source) -> None:
        self._place.put(path, _whole(path, source), _kind(path))
        assert self._known is not None
        self._known[path] = source.size

    def _put_stamps(self, stamps: Mapping[str, bytes]) -> tuple[str, ...]:
        """Those that are not what was put, some of the others by turns, the fleet's own last."""
        others = sorted(stamps.keys() - {TIMESTAMP})
        new = [path for path in others if self._said.get(path) != stamps[path]]
        begin = self._turn * READ_BACK % max(len(others), 1)
        self._turn += 1
        asked = others[begin : begin + READ_BACK]
        told = [self._stamp(path, stamps[path]) for path in (*dict.fromkeys((*new, *asked)), TIMESTAMP)]
        return tuple(filter(None, told))

    def _stamp(self, path: str, data: bytes) -> str:
        """Put it, unless it is there. Returns what was there without our doing."""
        found, said = self._place.read(path, MOST), self._said.pop(path, None)
        if found != data:
            self._place.put(path, data, _kind(path))
            if self._place.read(path, MOST) != data:
                raise PublishError(f"{self._place.name}: it took {path}, and gives another one", hint="is it a cache?")
        assert self._known is not None
        self._known[path], self._said[path] = len(data), data
        return f"{path} was another one" if said is not None and found != said else ""

    def _remove(self, paths: Iterable[str]) -> set[str]:
        removed = set()
        for path in paths:
            self._place.remove(path)
            removed.add(path)
            (self._known or {}).pop(path, None)
        return removed


def _missing(path: str, source: Source, known: Mapping[str, int], memory: Memory) -> bool:
    changed = _kind(path).changes and source.changed >= memory.done * 10**9
    return changed or known.get(path) != source.size


def _whole(path: str, source: Source) -> Path:
    """The file, as long as it is what was counted."""
    try:
        if source.place.stat().st_size == source.size:
            return source.place
    except OSError:
        pass
    raise PublishError(f"{path} went away meanwhile", hint="the next pass sees what is there then")


def _kind(path: str) -> Kind:
    kind = kind_of(path)
    assert kind, path
    return kind

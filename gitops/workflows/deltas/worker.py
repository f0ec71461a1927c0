"""Beside the loop, by whoever holds the lease: look what boxes would fetch, make the deltas that lack, one by one.

In: store and settings. Out: files below `layers/deltas`, the document `DeltaWork`. Rules: no pass waits for this: it
publishes what it has, and a box for which no delta is there yet fetches the whole layer. After each delta nothing is
done for as long as `share` asks. Over the budget the least useful go, none that a box is fetching. What goes wrong with
one is remembered and logged; the next is made.

    with deltas(store, settings):
        controller.run_forever(stop)
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import structlog

from gitops.errors import StoreError, readable
from gitops.publish.deltas.choosing import Budget, Made, Pair, Tried, Wish, queue, surplus, wishes
from gitops.publish.deltas.making import Maker, Stopped
from gitops.settings import Settings
from gitops.settings.deltas import Deltas
from gitops.store import LeaseError, Store
from gitops.store.files.deltas import Deltas as Files
from gitops.store.notes.deltas import DeltaTry, DeltaWork
from gitops.workflows.deltas.demands import Demands

log = structlog.get_logger(__name__)

SHARE = 20
"""So many times as long as a look took, nothing is looked at again: with ten thousand boxes it takes a second."""
ROUND = 60.0
"""Seconds after which what is made is chosen anew."""
MOST_TRIED = 5000
ENDS = 60.0
"""Seconds for the end of what is being made: it is killed at once."""


class Worker:
    """Of one process, as long as it holds the lease."""

    def __init__(self, store: Store, bounds: Deltas, stop: threading.Event, maker: Maker | None = None) -> None:
        self._store, self._bounds, self._stop = store, bounds, stop
        self._demands, self._files = Demands(store), Files(store.paths.layers)
        self._maker = maker or Maker(store.layers, bounds.seconds)

    def round(self) -> float:
        """One look, and what can be made in `ROUND` seconds. Returns how many seconds to wait until the next.

        Raises:
            StoreError: the store is away; LeaseError: another one makes them from now on.
        """
        begun = time.monotonic()
        self._store.lease.check()
        wanted = self._wanted()
        pause = SHARE * (time.monotonic() - begun)
        work = self._tidy(wanted, self._known())
        for wish in self._queue(wanted, work):
            if self._stop.is_set() or time.monotonic() - begun > ROUND:
                break
            self._store.lease.check()
            work = self._make(wish, wanted, work)
        return pause

    def _wanted(self) -> dict[Pair, Wish]:
        demands, layers = self._demands.look(), self._store.layers
        roots = {root for each in demands for layers_ in each.wanted.values() for root in layers_}
        sizes = dict[str, int]()
        for root in roots:
            try:
                sizes[root] = layers.zst(root).stat().st_size
            except OSError:
                continue  # made with the next publication
        found = wishes(demands, sizes)
        return {pair: wish for pair, wish in found.items() if layers.has(pair[0]) and layers.has(pair[1])}

    def _queue(self, wanted: Mapping[Pair, Wish], work: DeltaWork) -> list[Wish]:
        tried = {_pair(name): Tried(each.size, each.at) for name, each in work.tried.items()}
        return queue(wanted, self._made(), tried, self._budget())

    def _make(self, wish: Wish, wanted: Mapping[Pair, Wish], work: DeltaWork) -> DeltaWork:
        """One delta; then rest."""
        begun, size = time.monotonic(), 0
        try:
            size = self._maker.make(wish.old, wish.new, self._stop)
        except Stopped:
            return work
        except LeaseError:
            raise
        except Exception as caught:
            log.warning("delta.failed", old=wish.old, new=wish.new, why=readable(caught).message)
        if not size or not wish.worth(size):
            self._files.remove(wish.old, wish.new)
        took = time.monotonic() - begun
        work = self._tidy(wanted, _done(work, wish, size, took, int(time.time())))
        log.info("delta.made", old=wish.old, new=wish.new, size=size, whole=wish.whole, boxes=wish.boxes)
        self._stop.wait(took * (100 / self._bounds.share - 1))
        return work

    def _tidy(self, wanted: Mapping[Pair, Wish], work: DeltaWork) -> DeltaWork:
        """Let go of what is too much, and write down how things are."""
        going = surplus(self._made(), wanted, self._budget())
        for each in going:
            self._files.remove(each.old, each.new)
            log.info("delta.dropped", old=each.old, new=each.new, size=each.size)
        there, waiting = self._made(), len(self._queue(wanted, work))
        count, size = len(there), sum(each.size for each in there)
        new = replace(work, count=count, size=size, waiting=waiting, dropped=work.dropped + len(going))
        if new != replace(self._known(), at=new.at):
            self._store.notes.put(new := replace(new, at=int(time.time())))
        return new

    def _known(self) -> DeltaWork:
        """What is damaged begins anew."""
        try:
            return self._store.notes.get(DeltaWork) or DeltaWork()
        except LeaseError:
            raise
        except StoreError as error:
            log.warning("deltas.damaged", why=error.message)
            return DeltaWork()

    def _made(self) -> list[Made]:
        return [Made(each.old, each.new, each.size, each.used) for each in self._files.each()]

    def _budget(self) -> Budget:
        return Budget(self._bounds.disk, int(time.time()))


def _done(work: DeltaWork, wish: Wish, size: int, took: float, now: int) -> DeltaWork:
    tried = {name: each for name, each in work.tried.items() if _pair(name) != wish.pair}
    tried[f"{wish.old}/{wish.new}"] = DeltaTry(size, now)
    newest = dict(sorted(tried.items(), key=lambda row: row[1].at)[-MOST_TRIED:])
    more = {"made": work.made + bool(size), "failed": work.failed + (not size)}
    return replace(work, **more, seconds=work.seconds + round(took), tried=newest)


def _pair(name: str) -> Pair:
    old, _, new = name.partition("/")
    return old, new


@contextmanager
def deltas(store: Store, settings: Settings) -> Iterator[None]:
    """In a thread of its own while the context lasts; what is being made is given up at its end."""
    bounds, stop = settings.deltas or Deltas(), threading.Event()

    def work() -> None:
        worker = Worker(store, bounds, stop)
        while not stop.is_set():
            pause = float(settings.poll)
            try:
                pause = max(pause, worker.round())
            except LeaseError:
                return
            except Exception as caught:  # whatever it is, the next look is another one
                log.warning("deltas.failed", error=readable(caught).message)
            stop.wait(pause)

    thread = threading.Thread(target=work, name="deltas", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(ENDS)

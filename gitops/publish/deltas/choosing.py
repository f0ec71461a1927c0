"""Which deltas are made, in which order, and which go where there is no room for all. Pure.

In: what boxes run and are asked to run, the deltas that there are, what others came to. Out: a queue; what goes. Rules:

- A box asks for a delta from the layer at the same place of what it runs (`predecessor` of the agent): no other is of
  use to it. Each box counts once for each.
- Most boxes first, then the most bytes. So a box that lies about what it runs is the last, and pushes nobody aside.
- What saves less than `LEAST`, and less than a tenth, is not worth the memory that it takes to apply.
- Over the budget, what saves least goes first (boxes times bytes); what a box fetched within `BUSY` seconds stays.

    wanted = wishes([Demand(40, running, offered)], sizes)
    queue(wanted, made, tried, budget)                          # [Wish("5c1e...", "b01d...", 40, 3400000)]
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

Shape = Mapping[str, tuple[str, ...]]
"""Place (the root is empty) -> the roots of its layers, lowest first."""
Pair = tuple[str, str]
LEAST = 1024
"""Bytes: each question that a box asks of the server costs some hundred."""
PART = 10
BUSY = 3600
"""Seconds: a box whose line is thin goes on with it after a break."""
AGAIN = 86_400
"""Seconds after which what could not be made is tried once more."""


@dataclass(frozen=True)
class Demand:
    """So many boxes run one thing and are asked to run another."""

    boxes: int
    running: Shape
    wanted: Shape


@dataclass(frozen=True)
class Wish:
    """A delta that `boxes` would fetch in place of `whole` bytes."""

    old: str
    new: str
    boxes: int
    whole: int

    @property
    def pair(self) -> Pair:
        return self.old, self.new

    def saves(self, size: int) -> int:
        """Bytes, of all boxes."""
        return self.boxes * max(self.whole - size, 0)

    def worth(self, size: int) -> bool:
        """Whether a box has something of a delta of so many bytes."""
        return self.whole - size >= max(LEAST, self.whole // PART)


@dataclass(frozen=True)
class Made:
    """A delta that is there; `used`: when it was made, or fetched last (Unix seconds)."""

    old: str
    new: str
    size: int
    used: int

    @property
    def pair(self) -> Pair:
        return self.old, self.new


@dataclass(frozen=True)
class Tried:
    """What making one came to: its bytes (0: it could not be made), and when (Unix seconds)."""

    size: int
    at: int


@dataclass(frozen=True)
class Budget:
    """Bytes of all deltas together, and what time it is (Unix seconds)."""

    most: int
    now: int


def replaced(running: Shape, wanted: Shape) -> Iterator[Pair]:
    """For each layer that a box lacks, the one that it has at its place; as the agent looks for it."""
    has, seen = {root for roots in running.values() for root in roots}, set[str]()
    for place, roots in wanted.items():
        for old, new in zip(running.get(place, ()), roots, strict=False):
            if old != new and new not in has and new not in seen:
                seen.add(new)
                yield old, new


def wishes(demands: Iterable[Demand], whole: Mapping[str, int]) -> dict[Pair, Wish]:
    """All that boxes would fetch, where it could be worth it. `whole`: root -> bytes that are fetched without."""
    count = Counter[Pair]()
    for each in demands:
        for pair in replaced(each.running, each.wanted):
            count[pair] += each.boxes
    found = {pair: Wish(*pair, boxes, whole.get(pair[1], 0)) for pair, boxes in count.items()}
    return {pair: wish for pair, wish in found.items() if wish.worth(0)}


def queue(
    wanted: Mapping[Pair, Wish], made: Collection[Made], tried: Mapping[Pair, Tried], budget: Budget
) -> list[Wish]:
    """What is to be made, in this order."""
    there = {each.pair for each in made}
    open_ = [wish for pair, wish in wanted.items() if pair not in there]
    found = [wish for wish in open_ if _promises(wish, tried.get(wish.pair), wanted, made, budget)]
    return sorted(found, key=lambda wish: (-wish.boxes, -wish.whole, wish.pair))


def _promises(
    wish: Wish, last: Tried | None, wanted: Mapping[Pair, Wish], made: Collection[Made], budget: Budget
) -> bool:
    """Whether making it now is not in vain, by what is known of it."""
    if last is None:
        return budget.most > 0
    if not last.size:
        return not 0 <= budget.now - last.at < AGAIN
    new = Made(*wish.pair, last.size, 0)
    return wish.worth(last.size) and new not in surplus([*made, new], wanted, budget)


def surplus(made: Collection[Made], wanted: Mapping[Pair, Wish], budget: Budget) -> list[Made]:
    """What goes, the least useful first, so that the rest fits."""
    over = sum(each.size for each in made) - budget.most
    going = list[Made]()
    for each in sorted(made, key=lambda each: (_use(each, wanted), each.used, each.pair)):
        if over <= 0:
            break
        if not busy(each, budget.now):
            going.append(each)
            over -= each.size
    return going


def busy(made: Made, now: int) -> bool:
    """Whether a box may be fetching it; a clock that jumped says nothing."""
    return 0 <= now - made.used < BUSY


def _use(made: Made, wanted: Mapping[Pair, Wish]) -> int:
    wish = wanted.get(made.pair)
    return wish.saves(made.size) if wish else 0

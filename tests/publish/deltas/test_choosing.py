"""Which deltas are made and which go, whatever boxes say: rules that hold for all fleets."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from toweros_agent.nouns import BLOCK, Layer, Release

from gitops.publish.deltas.choosing import (
    AGAIN,
    BUSY,
    Budget,
    Demand,
    Made,
    Shape,
    Tried,
    Wish,
    queue,
    replaced,
    surplus,
    wishes,
)

FEW = settings(max_examples=40, deadline=None)
NOW = 1_790_000_000
ROOTS = [f"{number:x}" * 64 for number in range(10)]
ROOT = st.sampled_from(ROOTS)
SHAPE: st.SearchStrategy[Shape] = st.dictionaries(
    st.sampled_from(["", "services/a", "images"]), st.lists(ROOT, max_size=4, unique=True).map(tuple), max_size=3
)
DEMANDS = st.lists(st.builds(Demand, st.integers(1, 50), SHAPE, SHAPE), max_size=8)
WHOLE = st.dictionaries(ROOT, st.integers(0, 10_000_000))
MADE = st.lists(
    st.builds(Made, ROOT, ROOT, st.integers(1, 5_000_000), st.integers(NOW - 3 * BUSY, NOW + BUSY)),
    max_size=12, unique_by=lambda made: made.pair,
)  # fmt: skip
BUDGETS = st.builds(Budget, st.integers(0, 10_000_000), st.just(NOW))


def demand(boxes: int, old: str, new: str) -> Demand:
    return Demand(boxes, {"": (old,)}, {"": (new,)})


def of_agent(shape: Shape) -> Release:
    slots = {place: tuple(Layer(root, BLOCK) for root in roots) for place, roots in shape.items()}
    return Release("demo-1", 1, "", "", slots, 0, ())


@FEW
@given(SHAPE, SHAPE)
def test_a_layer_is_looked_for_where_the_agent_looks(running: Shape, wanted: Shape) -> None:
    here, there = of_agent(running), of_agent(wanted)
    lacks = [layer for layer in there.layers() if layer not in here.layers()]
    asks = {(base.root, layer.root) for layer in lacks if (base := there.predecessor(layer, here))}
    assert {*replaced(running, wanted)} == asks


@FEW
@given(DEMANDS, WHOLE, MADE, BUDGETS)
def test_whoever_is_in_the_queue_is_wished_for_not_there_and_before_nobody_with_more_boxes(
    demands: Sequence[Demand], whole: dict[str, int], made: list[Made], budget: Budget
) -> None:
    wanted = wishes(demands, whole)
    found = queue(wanted, made, {}, budget)
    assert {each.pair for each in found} == (wanted.keys() - {each.pair for each in made} if budget.most else set())
    assert [each.boxes for each in found] == sorted((each.boxes for each in found), reverse=True)


@FEW
@given(DEMANDS, WHOLE, MADE, BUDGETS)
def test_what_goes_makes_room_and_nothing_better_goes_before_something_worse(
    demands: Sequence[Demand], whole: dict[str, int], made: list[Made], budget: Budget
) -> None:
    wanted = wishes(demands, whole)
    going = surplus(made, wanted, budget)
    stays = [each for each in made if each not in going]
    free = [each for each in stays if not 0 <= NOW - each.used < BUSY]

    def use(each: Made) -> int:
        wish = wanted.get(each.pair)
        return wish.saves(each.size) if wish else 0

    assert not any(0 <= NOW - each.used < BUSY for each in going), "a box may be fetching it"
    assert sum(each.size for each in stays) <= budget.most or not free, "what is free goes until the rest fits"
    assert not going or not free or max(map(use, going)) <= min(map(use, free))
    before = sum(each.size for each in made) - sum(each.size for each in going[:-1])
    assert not going or before > budget.most, "no more goes than must"


@FEW
@given(DEMANDS, SHAPE, SHAPE, WHOLE)
def test_a_box_that_lies_counts_as_one_and_comes_before_nobody_who_is_more(
    demands: list[Demand], running: Shape, wanted: Shape, whole: dict[str, int]
) -> None:
    honest, told = wishes(demands, whole), wishes([*demands, Demand(1, running, wanted)], whole)
    assert all(told[pair].boxes - (honest[pair].boxes if pair in honest else 0) in (0, 1) for pair in told)
    order = [each.pair for each in queue(told, [], {}, Budget(1, NOW))]
    lied = [pair for pair in order if pair not in honest]
    many = [pair for pair, wish in honest.items() if wish.boxes > 1]
    assert all(order.index(pair) < order.index(lie) for pair in many for lie in lied)


@FEW
@given(DEMANDS, WHOLE, st.dictionaries(st.tuples(ROOT, ROOT), st.integers(1, 5_000_000)), BUDGETS)
def test_making_and_dropping_comes_to_an_end(
    demands: Sequence[Demand], whole: dict[str, int], sizes: dict[tuple[str, str], int], budget: Budget
) -> None:
    """With the same boxes and layers nothing is made twice, or made and dropped in turns for ever."""
    wanted, made, tried = wishes(demands, whole), list[Made](), dict[tuple[str, str], Tried]()
    work = 0
    while found := queue(wanted, made, tried, budget):
        wish, work = found[0], work + 1
        size = sizes.get(wish.pair, 1000)
        tried[wish.pair] = Tried(size, NOW)
        made += [Made(*wish.pair, size, NOW - 2 * BUSY)] if wish.worth(size) else []
        going = surplus(made, wanted, budget)
        made = [each for each in made if each not in going]
        assert work <= 2 * len(wanted)
    assert sum(each.size for each in made) <= budget.most


def test_what_could_not_be_made_is_tried_again_a_day_later_and_what_saves_nothing_never() -> None:
    old, new, other = ROOTS[:3]
    wanted = wishes([demand(3, old, new), demand(2, old, other)], {new: 10_000, other: 10_000})
    tried = {(old, new): Tried(0, NOW), (old, other): Tried(9_500, NOW)}
    assert queue(wanted, [], tried, Budget(1 << 30, NOW + AGAIN - 1)) == []
    assert queue(wanted, [], tried, Budget(1 << 30, NOW + AGAIN)) == [Wish(old, new, 3, 10_000)]
    assert queue(wanted, [], tried, Budget(1 << 30, NOW - 5)) == [Wish(old, new, 3, 10_000)], "a clock that jumped"

"""What a plan does to boxes while it is carried out: who restarts, what stops meanwhile, and what goes over which link.

In: the fleet at the head, the groups of a summary, the floors where boxes stop first. Out: lines for people. Pure.
Rules: every release is a restart, of everything that the box runs, and so is that of each floor on the way; boxes that
run the same are one line; bytes are those of the groups, at most; where a site has a server of its own (`noc:`), its
link carries what boxes alike fetch once.

    effects(fleet, groups)      # ("a, b restart once; meanwhile stop: services hello, sshd; user containers web",)
    effects(fleet, groups, {"a": ("v1.0",)})        # ("a restarts twice, first into v1.0, which nobody skips ..", ..)
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from gitops.model import Action, Box, Fleet
from gitops.review.nouns import Change, Group
from gitops.review.text import size

SHOWN, LINES = 4, 12
ONCE = "once"


Stops = Mapping[str, tuple[str, ...]]
"""Box -> the floors where it restarts first."""


def effects(fleet: Fleet, groups: Sequence[Group], stops: Stops | None = None) -> tuple[str, ...]:
    """At most `LINES` of each kind."""
    going = [each for each in groups if each.action is Action.UPDATE and each.change is not Change.unchanged]
    return (*_few(_restarts(fleet, going, stops or {})), *_few(_links(fleet, groups, stops or {})))


def _restarts(fleet: Fleet, groups: Sequence[Group], stops: Stops) -> Iterator[str]:
    alike = defaultdict[tuple[str, str], list[str]](list)
    for name in sorted(name for group in groups for name in group.boxes if name in fleet.boxes):
        alike[_times(stops.get(name, ())), _stopping(fleet.boxes[name])].append(name)
    for (times, what), names in sorted(alike.items(), key=lambda each: each[0][0] == ONCE):
        verb = "restart" if len(names) > 1 else "restarts"
        yield f"{_names(names)} {verb} {times}; meanwhile stop: {what or 'nothing that has a name'}"


def _times(floors: tuple[str, ...]) -> str:
    if not floors:
        return ONCE
    times = "twice" if len(floors) == 1 else f"{len(floors) + 1} times"
    return f"{times}, first into {', then '.join(floors)}, which nobody skips (`floor`)"


def _stopping(box: Box) -> str:
    services = ", ".join(each.name for each in box.spec.services)
    containers = ", ".join(sorted(f"{app.name}/{name}" for app in box.apps for name in app.images))
    parts = [f"services {services}"] if services else []
    return "; ".join([*parts, *([f"user containers {containers}"] if containers else [])])


def _links(fleet: Fleet, groups: Sequence[Group], stops: Stops) -> Iterator[str]:
    """A site's link; boxes without a site have each their own. Who stops on the way is taken to fetch all of it there,
    and once more."""
    total, boxes = defaultdict[str, int](int), defaultdict[str, int](int)
    for group in groups:
        once = set[str]()
        for box in (fleet.boxes[name] for name in group.boxes if name in fleet.boxes):
            if not box.site:
                continue
            boxes[box.site] += 1
            if not (box.noc and box.site in once):
                total[box.site] += group.fetch[1] * (1 + len(stops.get(box.name, ())))
            once.add(box.site)
    for site in sorted(total, key=lambda each: (-total[each], each)):
        shown = "".join(letter if letter.isprintable() else "?" for letter in site[:60])
        counted = f"{boxes[site]} box{'es' * (boxes[site] != 1)}"
        yield f"over the link of site {shown}: at most {size(total[site])}, for {counted}"


def _few(lines: Iterator[str]) -> list[str]:
    all_ = list(lines)
    return all_[:LINES] + ([f"and {len(all_) - LINES} more"] if len(all_) > LINES else [])


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{f'{len(names)} boxes: ' if len(names) > 1 else ''}{', '.join(names[:SHOWN])}{more}"

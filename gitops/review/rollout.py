"""What a plan means for boxes' lives: in which order they go, and what may happen to them at all. Pure.

In: the fleet before and after, the boxes that change. Out: lines for people. Rules: whatever says where and when, and
not what (holds, windows, probation), has words of its own: it changes no release, and is no "No changes.".

    order(head.fleet, ["demo-1", "demo-2"])     # ("wave lab: demo-1; then 1 day", "wave rest: demo-2")
    steering(base.fleet, head.fleet)            # ("suspended: 2 boxes: nothing -> ada: audit",)
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from gitops.model import Box, Fleet
from gitops.model.rollout.waves import Wave
from gitops.rollout.careful import REST, Going

SHOWN = 4
STEERS = ("suspended", "freeze", "windows", "moratoria", "timezone", "retry")
UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def order(fleet: Fleet, touched: Collection[str]) -> tuple[str, ...]:
    """Which of the boxes that get a release go after whom, how many at once, and in which windows; nothing, where no
    rule of the fleet says anything of that."""
    careful = fleet.policy.careful
    boxes = [fleet.boxes[name] for name in sorted(touched)]
    lines = list(_waves(fleet, touched)) if careful.waves else []
    limits = [
        f"{share} of the fleet" if key == "fleet" else f"{share} of a {key}" for key, share in careful.max_unavailable
    ]
    lines += [f"away at once: at most {', '.join(limits)}"] if limits and touched else []
    lines += (
        [f"never two of one {', of one '.join(careful.never_together)}"] if careful.never_together and touched else []
    )
    clocks = defaultdict[str, list[str]](list)
    for box in boxes:
        clocks[_clock(box)].append(box.name)
    lines += [f"{words}: {_names(names)}" for words, names in sorted(clocks.items()) if words]
    return tuple(lines)


def steering(base: Fleet | None, head: Fleet) -> tuple[str, ...]:
    """What becomes of holds, freezes, windows and probations, boxes alike together."""
    alike = defaultdict[tuple[str, str, str], list[str]](list)
    for name, box in sorted(head.boxes.items()):
        old = base.boxes.get(name) if base else None
        if old is None:
            continue
        for key in STEERS:
            if (before := _text(getattr(old, key))) != (after := _text(getattr(box, key))):
                alike[key, before, after].append(name)
        if old.health.probation != box.health.probation:
            alike["probation", f"{old.health.probation} s", f"{box.health.probation} s"].append(name)
    return tuple(f"{key}: {_names(names)}: {before} -> {after}" for (key, before, after), names in alike.items())


def _waves(fleet: Fleet, touched: Collection[str]) -> Sequence[str]:
    going = Going(fleet.boxes, fleet.policy.careful)
    lines = []
    for number, wave in enumerate(going.waves):
        names = sorted(name for name in going.members(number) if name in touched)
        if names:
            lines.append(f"wave {wave.name}: {_names(names)}{_soak(wave)}")
    return lines


def _soak(wave: Wave) -> str:
    stops = [
        f"{share} {word}"
        for word, share in (("failed", wave.failed), ("Missing", wave.missing), ("Degraded", wave.degraded))
    ]
    then = f"; then {_duration(wave.soak)}" if wave.soak else ""
    return "" if wave is REST else f"{then}; stops at more than {', '.join(stops)}"


def _clock(box: Box) -> str:
    parts = [f"only {', '.join(box.windows)}"] if box.windows else []
    parts += [f"not {', '.join(box.moratoria)}"] if box.moratoria else []
    words = f"{', '.join(parts)} ({box.timezone})" if parts else ""
    return ", ".join(filter(None, (f"frozen by {box.freeze}" if box.freeze else "", words)))


def _duration(seconds: int) -> str:
    number, unit = next((seconds // size, word) for size, word in UNITS if seconds % size == 0)
    return f"{number} {unit}{'s' * (number != 1)}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{f'{len(names)} boxes: ' if len(names) > 1 else ''}{', '.join(names[:SHOWN])}{more}"


def _text(value: object) -> str:
    return (", ".join(value) if isinstance(value, tuple) else str(value or "")) or "nothing"

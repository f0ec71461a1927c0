"""What a plan means for boxes' lives: in which order they go, and what may happen to them at all. Pure.

In: the fleet before and after, the boxes that change. Out: lines for people. Rules: whatever says where and when, and
not what (holds, windows, probation), has words of its own: it changes no release, and is no "No changes.".

    order(head.fleet, ["demo-1", "demo-2"])     # ("wave lab: demo-1; then 1 day", "wave rest: demo-2")
    steering(base.fleet, head.fleet)            # ("suspended: 2 boxes: nothing -> ada: audit",)
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import fields

from gitops.model import Box, Fleet
from gitops.model.rollout.waves import Careful, Wave
from gitops.rollout.careful import REST, Going

SHOWN = 4
STEERS = ("pin", "floor", "suspended", "freeze", "windows", "moratoria", "timezone", "veto", "retry")
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


def rules(old: Careful, new: Careful) -> tuple[str, ...]:
    """What becomes of `rollout:` in fleet.yaml, wave by wave."""
    before, after = ({wave.name: wave for wave in careful.waves} for careful in (old, new))
    lines = [f"rollout: wave {name}: gone" for name in before if name not in after]
    for name, wave in after.items():
        was = before.get(name)
        lines += [f"rollout: wave {name}: new"] if was is None else [
            f"rollout: wave {name}: {each.name}: {_said(getattr(was, each.name))} -> {_said(getattr(wave, each.name))}"
            for each in fields(wave)
            if getattr(was, each.name) != getattr(wave, each.name)
        ]  # fmt: skip
    if [*before] != [*after] and {*before} == {*after}:
        lines.append(f"rollout: order of waves: {', '.join(before)} -> {', '.join(after)}")
    for name in ("max_unavailable", "never_together", "on_stop"):
        before_it, after_it = getattr(old, name), getattr(new, name)
        lines += [f"rollout: {name}: {_said(before_it)} -> {_said(after_it)}"] if before_it != after_it else []
    return tuple(lines)


def _said(value: object) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    words = (" ".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in parts)
    return ", ".join(filter(None, words)) or "nothing"


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

"""Health checks name services and user containers that are there."""

from difflib import get_close_matches

from gitops.errors import Problem
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.overlay import Elsewhere, Merged, Parsed
from gitops.fleet.schema import Overlay

_KEY_OF = {"service": "boot", "container": "compose"}


def check_services(
    merged: Merged,
    level: Parsed[Overlay],
    problems: list[Problem],
    base: Merged | None = None,
    above: Parsed[Overlay] | None = None,
    elsewhere: Elsewhere = Elsewhere(),
) -> None:
    """A health check of a service or user container needs it. `base`: what was looked at in this way before; `above`:
    the level below which this one stands, of whose checks none needs to be told for each role."""
    if base and (merged.spec, merged.apps, merged.health) == (base.spec, base.apps, base.health):
        return
    names, told = _watchable(merged), _watchable(base) if base else {}
    slips = [name for name in level.content.health.remove if all(name != each.name for each in merged.health.checks)]
    for each in merged.health.checks:
        if each.type not in names or each.target in names[each.type]:
            continue
        if base and each in base.health.checks and each.target not in told[each.type]:
            continue
        known = names[each.type]
        if merged.may_hold(_KEY_OF[each.type], each.target, known) or get_close_matches(each.name, slips):
            continue
        message = f"health check `{each.name}`: there is no {each.type} `{each.target}`"
        said = next((one for one in (level, above) if one and each.name in _rows(one)), level)
        if said is above and each.target in elsewhere.names:  # it is there on boxes of other roles
            said = level
        hint = did_you_mean(each.target, sorted({*known, *(elsewhere.names if said is above else ())}))
        problems.append(said.problem(("health", "checks", *_rows(said).get(each.name, ())), message, hint))


def _watchable(merged: Merged) -> dict[str, list[str]]:
    """What health checks may name, by kind."""
    return {
        "service": [container.name for container in merged.spec.services],
        "container": [name for app in merged.apps for name in app.container_names()],
    }


def _rows(level: Parsed[Overlay]) -> dict[str, tuple[str | int, ...]]:
    """Where the checks of a level stand, by name."""
    checks = enumerate(level.content.health.checks)
    return {each.name: (index, "service" if each.service else "container") for index, each in checks}

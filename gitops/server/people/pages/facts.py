"""What a box says of itself, as people read it. Pure.

In: its report, word for word. Out: names and texts. Rules: what this version knows is said as `toweros status` says it;
everything else, and whatever has another shape than it should, is shown as it is: so many and so long as a page takes.

    facts({"facts": {"temperature": 47, "fan": "on"}})      # [("Temperature", "47 °C"), ("fan", "on")]
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gitops.rollout.facts import WORDS, lines
from gitops.server.people.pages.words import size

LISTED, FACT = 100, 300
"""Facts of a report, and characters of each."""
SIZES = ("used", "size", "total", "free")
"""Names of what is in bytes."""
KNOWN = {
    "box", "boot_id", "counter", "time", "agent", "sequence", "release", "content", "phase", "health", "error",
    "staged", "rollback", "failures", "checks", "fetched", "entry", "degraded", "resets", "retried", "firmware",
    "trusted", "room", "ssh", "kept", "place", "bundle", "facts", "turn",
}  # fmt: skip
"""Members of a report that have a place of their own."""
APART = ("agent", "kernel", "poll", "every")
"""Facts that do, or that nobody looks for."""


def facts(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is known first; agent and kernel have a place of their own."""
    own, counter = said.get("facts"), said.get("counter")
    rest = {name: each for name, each in own.items() if name not in APART} if isinstance(own, dict) else {}
    # An older agent's counter counts something else.
    found = lines({}, counter // 1000) if rest and isinstance(counter, int) else []
    for name in WORDS:
        try:
            found += [(word, text.replace("\n", "; ")[:FACT]) for word, text in lines({name: rest[name]}, 0)]
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
            continue
        del rest[name]
    found = [(name.capitalize(), text) for name, text in found]
    found += _flat("", {name: value for name, value in said.items() if name not in KNOWN} | rest)
    return found[:LISTED]


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    if value in (None, "", [], {}, ()):
        return
    if isinstance(value, dict) and name.count(".") < 3:
        for key, inside in value.items():
            yield from _flat(f"{name}.{key}"[:FACT] if name else str(key)[:FACT], inside)
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value))[:FACT]
    else:
        bytes_ = isinstance(value, int) and name.rpartition(".")[2] in SIZES
        yield name, size(value) if bytes_ else str(value)[:FACT]

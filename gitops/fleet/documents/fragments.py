"""The YAML of a compose file: strict as all of it, with what Docker's own documentation uses besides.

Anchors, aliases and merge keys ("fragments") are resolved; the first value of a key counts, its own before a merged one
(yaml.org/type/merge). What they expand to counts among the values of the file: a few lines cannot become millions. A
number that starts with 0 is octal, as compose reads it: `mode: 0440` is 0o440. Compose's tags are known: what has
`!reset` is not there (`Document.reset`), what has `!override` takes another one's place (`Document.override`).

    load(data, "docker-compose.yml", problems, Fragments)
"""

import copy
import re
from collections.abc import Iterator
from typing import Any

from gitops.fleet.documents.yaml import MAX_DEPTH, MAX_NODES, Builder, Path, StopReading

MERGE = "<<"
RESET, OVERRIDE = "!reset", "!override"
"""Compose specification, "Merge": Reset value, Replace value."""


class Fragments(Builder):
    """Remembers what an anchor names, and how many values that are."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._merged: dict[Path, list[dict[str, Any]]] = {}
        self._gone: dict[Path, set[str | int]] = {}
        self._within = 0

    def _tag(self, event: Any, path: Path) -> None:
        if event.tag not in (RESET, OVERRIDE) or not path:
            super()._tag(event, path)
        elif self._within or event.anchor or MERGE in path or str(path[0]).startswith("x-"):
            hint = "write it where the fragment is used: compose forgets it here"
            self.note(event, f"tag {event.tag} in a fragment", hint)
        elif any(isinstance(part, int) for part in (path[:-1] if event.tag == RESET else path)):
            self.note(event, f"tag {event.tag} within a list", "tag the list")
        elif event.tag == OVERRIDE:
            self.document.override.add(path)
        else:
            self.document.reset.add(path)
            self._gone.setdefault(path[:-1], set()).add(path[-1])

    def _anchored(self, event: Any, events: Iterator[Any], path: Path, depth: int) -> Any:
        before = self._nodes
        self._within += 1
        value = self._plain(event, events, path, depth)
        self._within -= 1
        self._anchors[event.anchor] = value, self._nodes - before
        return value

    def _alias(self, event: Any, depth: int) -> Any:
        if event.anchor not in self._anchors:
            self.note(event, f"there is no &{event.anchor} before this", "name a fragment that stands above")
            return None
        value, count = self._anchors[event.anchor]
        self._nodes += count
        if self._nodes > MAX_NODES or depth + _depth(value) > MAX_DEPTH:
            limit = f"at most {MAX_NODES} values, {MAX_DEPTH} deep, with what aliases stand for"
            self.note(event, "the file holds too much", f"use {limit}")
            raise StopReading
        return copy.deepcopy(value)

    def _mapping(self, events: Iterator[Any], path: Path, depth: int) -> dict[str, Any]:
        own = super()._mapping(events, path, depth)
        gone = self._gone.get(path, set())
        own = {key: value for key, value in own.items() if key not in gone} if gone else own
        for fragment in self._merged.pop(path, ()):
            own = own | {key: value for key, value in fragment.items() if key not in own}
        for key in gone & own.keys():  # compose takes its own away, and then has the fragment's
            self.document.reset.discard((*path, key))
            self.document.override.add((*path, key))
        return own

    def _sequence(self, events: Iterator[Any], path: Path, depth: int) -> list[Any]:
        rows = super()._sequence(events, path, depth)
        gone = self._gone.get(path, set())
        return [row for index, row in enumerate(rows) if index not in gone] if gone else rows

    def _merge(self, event: Any, events: Iterator[Any], path: Path, depth: int) -> None:
        if path in self._merged:
            self.note(event, "a second `<<`", "write `<<: [*one, *two]`")
        value = self._value(next(events), events, (*path, MERGE), depth + 1)
        fragments = value if isinstance(value, list) else [value]
        if not all(isinstance(fragment, dict) for fragment in fragments):
            self.note(event, "`<<` merges keys and values", "name a fragment of keys and values")
            fragments = []
        self._merged.setdefault(path, []).extend(fragments)

    def _integer(self, event: Any, text: str) -> int:
        if not re.fullmatch("0[0-9]+", text):
            return super()._integer(event, text)
        if re.fullmatch("0[0-7]{1,6}", text):
            return int(text, 8)
        self.note(event, f"{text} is no octal number", "quote it if it is a string")
        return 0


def _depth(value: Any) -> int:
    """Levels below a value."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((1 + _depth(each) for each in inside), default=0)

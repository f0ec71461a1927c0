"""Files that are filled in with each box's values.

In: the levels together; a box's own values. Out: LinuxKit's `files:` entries; values that are missing, as problems.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from sys import getsizeof

from gitops.errors import Problem
from gitops.fleet.documents.budget import OwnBudget
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.overlay import Merged, Parsed
from gitops.fleet.schema import VALUE, Overlay
from gitops.model import Json

PLACEHOLDER = re.compile(r"\$(?:\{(" + VALUE + r")\}|\$)")


def split_templates(files: Iterable[Json]) -> tuple[tuple[Json, ...], tuple[Json, ...]]:
    """Files that are the same on every box, and those that are filled in on each."""
    plain: list[Json] = []
    templates: list[Json] = []
    for file in files:
        (templates if file.get("template") else plain).append(file)
    return tuple(plain), tuple(templates)


class Lacking:
    """Values that templates need and boxes have not: each is one mistake, however many boxes make it."""

    def __init__(self) -> None:
        self._boxes: dict[tuple[str, str], list[Parsed[Overlay]]] = {}
        self._hints: dict[tuple[str, str], str] = {}

    def add(self, path: str, name: str, box: Parsed[Overlay], values: Collection[str]) -> None:
        """A file's template needs a value that is none of a box's."""
        boxes = self._boxes.setdefault((path, name), [])
        if not boxes:
            add = f"add `values: {{{name}: ...}}` here, to the role or to the fleet"
            self._hints[path, name] = did_you_mean(name, values, add)
        if box not in boxes[-1:]:
            boxes.append(box)

    def problems(self) -> Iterator[Problem]:
        for (path, name), boxes in self._boxes.items():
            message = f"/{path} needs the value `{name}`" + (f", on {len(boxes)} boxes" if boxes[1:] else "")
            yield boxes[0].problem(("values",), message, self._hints[path, name])


def fill_in(merged: Merged, given: Mapping[str, str], box: Parsed[Overlay], lacking: Lacking) -> tuple[Json, ...]:
    """The files, with `${NAME}` in templates replaced by the box's value, and `$$` by `$`."""
    values, own = {**merged.values, **given}, OwnBudget(box.document.file)

    def value(place: re.Match[str]) -> str:
        name = place[1]
        if name is not None and name not in values and not merged.may_hold("values", name, values):
            lacking.add(file["path"], name, box, values)
        text = "$" if name is None else values.get(name, "")
        own.spend(getsizeof(text))
        return text

    plain, templates = split_templates(merged.files)
    filled = []
    for file in templates:
        own.spend(getsizeof(file["contents"]))
        entry = {key: item for key, item in file.items() if key != "template"}
        filled.append(entry | {"contents": PLACEHOLDER.sub(value, file["contents"])})
    return (*plain, *filled)

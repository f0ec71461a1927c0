"""Services that extend others: which they are, and what they are then, as far as TowerOS needs to know it. Pure but for
the tree.

In: an app's compose file, the tree. Out: the files that are read for it; of each service that extends another one, its
keys as a whole; mistakes. Rules: compose itself merges on the box, for what it reads is there as it is in Git; here it
is only known which image, which check and which bound a service has, and all that is read is checked. A file is one of
the app's folder; nothing goes in a circle, and a chain has an end.

    found = Extending(tree, "boot/compose/net", document).look()
    found.whole["bts"]["image"], found.used["boot/compose/net/common.yml"]
"""

import posixpath
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gitops.errors import Problem
from gitops.fleet.apps.beside import Beside, path_of
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.documents.fragments import OVERRIDE, RESET, Fragments
from gitops.fleet.documents.yaml import Document, Path, read
from gitops.model import Json, Tree

MAX_CHAIN = 16
"""Services that extend one another."""
MAX_FILES = 32
"""Files that services of one app extend."""
REPLACED = ("command", "entrypoint")
"""Lists that take the place of another one (Compose specification, "Merge")."""
EXTENDS = "extends"


class Base(NamedTuple):
    """The service that another one extends."""

    file: str
    service: str


@dataclass
class Found:
    """`used`: other files, with the services of each that are extended. `whole`: keys by service of the app; `images`:
    where the image of such a service is written. `wrong`: services whose `extends` counts for nothing."""

    used: dict[str, tuple[Document, list[str]]] = field(default_factory=dict)
    whole: dict[str, Json] = field(default_factory=dict)
    images: dict[str, Base] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


class Extending:
    """Of one app."""

    def __init__(self, tree: Tree, folder: str, document: Document) -> None:
        self._tree, self._folder = tree, folder
        self._main = document.file
        self._files: dict[str, Document | None] = {document.file: document}
        self._found = Found()

    def look(self) -> Found:
        """Every service of the app."""
        for name, keys in _services(self._files[self._main]).items():
            if isinstance(keys, dict) and EXTENDS in keys:
                self._service(name)
        self._found.problems = list(dict.fromkeys(self._found.problems))
        return self._found

    def _service(self, name: str) -> None:
        chain, before = [Base(self._main, name)], len(self._found.problems)
        while (base := self._base(chain)) and len(self._found.problems) == before:
            chain.append(base)
        if len(self._found.problems) > before:
            self._found.wrong.add(name)
            return
        for file, service in chain:
            document = self._files[file]
            if file != self._main and document and service not in self._found.used.setdefault(file, (document, []))[1]:
                self._found.used[file][1].append(service)
        whole: Json = {}
        for base in reversed(chain):
            whole = self._over(whole, base)
        self._found.whole[name] = {key: value for key, value in whole.items() if key != EXTENDS}
        with_image = (base for base in chain if self._keys(base).get("image") is not None)
        self._found.images[name] = next(with_image, chain[0])

    def _base(self, chain: list[Base]) -> Base | None:
        """What the last one of a chain extends; None: nothing, or nothing that can be."""
        here = chain[-1]
        said = self._keys(here).get(EXTENDS)
        if EXTENDS not in self._keys(here):
            return None
        rule: Json = {"service": said} if isinstance(said, str) else said if isinstance(said, dict) else {}
        service, file = rule.get("service"), rule.get("file")
        document = self._files[here.file] or Document(here.file)
        place: Path = ("services", here.service, EXTENDS)
        if not isinstance(service, str) or not service or "$" in service or not isinstance(file, str | None):
            hint = "write `extends: SERVICE`, or `extends: {file: FILE, service: SERVICE}`"
            self._note(document, place, "`extends` names no service", hint)
            return None
        base = Base(self._file(document, place, file) if file is not None else here.file, service)
        if not base.file:
            return None
        there = _services(self._files[base.file])
        if not isinstance(there.get(service), dict):
            hint = did_you_mean(service, list(there))
            self._note(document, place, f"there is no service `{service}` in {base.file}", hint)
        elif base in chain:
            way = " -> ".join(each.service for each in (*chain[chain.index(base) :], base))
            self._note(document, place, f"services extend each other: {way}", "cut the circle")
        elif len(chain) > MAX_CHAIN:
            self._note(document, place, f"more than {MAX_CHAIN} services extend one another", "write keys here")
        return base

    def _file(self, document: Document, place: Path, name: str) -> str:
        """The file that is named, read; empty when it cannot be."""
        here = posixpath.dirname(document.file)
        path = posixpath.normpath(posixpath.join(here, name))
        wrong = "" if "://" not in name and "$" not in name and path.startswith(f"{self._folder}/") else name
        if wrong or self._tree.entries().get(path) is None:
            message = f"other services are not read: `{name}` is no file in {self._folder}"
            self._note(document, place, message, "name a file beside the compose file")
            return ""
        for message, hint in Beside(self._tree, self._folder, here).whole_file(path_of(name)):
            self._note(document, place, message, hint)
            return ""
        if path not in self._files:
            if len(self._files) > MAX_FILES:
                self._note(document, place, f"more than {MAX_FILES} files are extended", "put services together")
                return ""
            self._files[path] = self._read(path)
        return path if self._files[path] else ""

    def _read(self, path: str) -> Document | None:
        made: list[Problem] = []
        document = read(self._tree.read(path), path, made, Fragments)
        self._found.problems += made
        if document and isinstance(document.value, dict) and "include" in document.value:
            self._note(document, ("include",), "other files are not read", "write their services here")
        if document and not isinstance(document.value, dict):
            self._note(document, (), "keys and values are expected", "write `services:`")
            return None
        return None if made else document

    def _over(self, below: Json, base: Base) -> Json:
        """What a service says over what it extends, with its tags."""
        document, place = self._files[base.file] or Document(base.file), ("services", base.service)
        whole: Json = _merged(below, self._keys(base), document, place)
        return whole

    def _keys(self, base: Base) -> Json:
        keys = _services(self._files[base.file]).get(base.service)
        return keys if isinstance(keys, dict) else {}

    def _note(self, document: Document, place: Path, message: str, hint: str) -> None:
        self._found.problems.append(document.problem(place, message, hint))


def tags_of(document: Document, services: Collection[str]) -> list[list[str]]:
    """The tags within these services, as `written` takes them."""
    each, named = {RESET: document.reset, OVERRIDE: document.override}, set(services)
    places = ((tag, place) for tag, found in each.items() for place in found if len(place) > 2)
    rows = ([tag, *map(str, place)] for tag, place in places if not isinstance(place[-1], int))
    return sorted(row for row in rows if row[1] == "services" and row[2] in named)


def _services(document: Document | None) -> Json:
    services = document.value.get("services") if document and isinstance(document.value, dict) else None
    return services if isinstance(services, dict) else {}


def _merged(below: Any, above: Any, document: Document, place: Path) -> Any:
    """Compose's merge, of what TowerOS looks at: keys by name, lists one after the other."""
    if above is None and place[-1] not in REPLACED:
        return below
    if place in document.override:
        return above
    below, above = _named(below, above), _named(above, below)
    if isinstance(below, dict) and isinstance(above, dict):
        left = {key: value for key, value in below.items() if (*place, key) not in document.reset}
        new = {key: _merged(left.get(key), value, document, (*place, key)) for key, value in above.items()}
        return left | new
    if isinstance(below, list) and isinstance(above, list) and place[-1] not in REPLACED:
        return [*below, *above]
    return above


def _named(value: Any, other: Any) -> Any:
    """A list of names as keys, where the other side has keys: `depends_on`, `networks`."""
    if isinstance(value, list) and isinstance(other, dict) and all(isinstance(each, str) for each in value):
        return {each: {} for each in value}
    return value

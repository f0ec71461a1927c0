"""Containers of a fleet that would not start: as far as the packages tell, before anything is built. Pure.

In: the fleet and its tree; the configs of images that are known already. Out: what names no command, with the file and
line that names its image. Rules: a package's command is what its build.yml and Dockerfile say, or the sibling that it
stands on; what only an image from outside says is not known before it is asked for. What LinuxKit's own tar may hold
(`toweros assemble`) is not judged at all.

    Commands(tree, fleet).lacking()     # [Problem("boot/a.yml", 7, 0, "a: services.ntp names no command ..")]
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from gitops.assemble.root.commands import idle, words
from gitops.assemble.root.runtime_spec import LABEL
from gitops.assemble.root.strange import strange
from gitops.errors import AssembleError, Problem
from gitops.fleet.documents.fragments import Fragments
from gitops.fleet.documents.yaml import Document, read
from gitops.fleet.images.tracked import COMPOSE
from gitops.fleet.origins import origins
from gitops.fleet.packages import SIBLING
from gitops.fleet.packages.folder import BUILD
from gitops.fleet.packages.lacking import missing
from gitops.model import Box, Fleet, Json, Tree
from gitops.plan import PACKAGE

NAMED: Json = {"Cmd": ["named"]}
SHOWN, BOXES = 20, 5
"""Containers that a plan tells of, and boxes that a sentence names."""
PEOPLE = frozenset(("uid", "gid", "additionalGids"))


class Commands:
    """Of one fleet's boxes. `known`: an image -> its config, or None; `alone`: and no others are judged; `wrong`: with
    all that is `strange`, but for what stands on these files, in which there are mistakes already."""

    def __init__(
        self,
        tree: Tree,
        fleet: Fleet,
        known: Callable[[str], Json | None] = lambda _: None,
        *,
        alone: bool = False,
        wrong: Collection[str] | None = None,
    ) -> None:
        self._tree, self._fleet, self._known, self._alone, self._wrong = tree, fleet, known, alone, wrong

    def lacking(self, names: Collection[str] | None = None) -> list[Problem]:
        """What neither a box nor an image that is known gives a command, each with the boxes that lack it. `names`: of
        these boxes; None: of all."""
        boxes: dict[Problem, list[str]] = {}
        looked: dict[tuple[int, int], tuple[Box, list[Problem]]] = {}
        for box in (box for box in self._fleet.boxes.values() if names is None or box.name in names):
            shared = (id(box.spec), id(box.apps))
            if shared not in looked:
                looked[shared] = (box, [*self._look(box)])
            for problem in looked[shared][1]:
                boxes.setdefault(problem, []).append(box.name)
        told = [replace(each, message=f"{few(names)}: {each.message}") for each, names in boxes.items()]
        # A Dockerfile's lines stand for themselves; which files there are, build.yml says.
        sound = [each for each in self._fleet.packages.values() if self._sound(f"{each.path}/{BUILD}")]
        return [*told, *(problem for package in sound for problem in missing(self._tree, package))]

    def _sound(self, *places: str) -> bool:
        """Whether nothing is wrong in these files and folders: else what is found there may be of that alone."""
        return self._wrong is not None and not any(file.startswith(places) for file in self._wrong)

    def _look(self, box: Box) -> Iterator[Problem]:
        try:
            yield from self._strange(box)
            found = [*idle(box, self._config)]
        except AssembleError as error:
            yield Problem(f"roles/{box.role}.yaml", 1, 0, error.message, error.hint)
            return
        places = origins(self._tree, box) if found else {}
        for name, image in found:
            message, hint = words(name, image)
            app, _, service = name.partition(": ")
            if service:
                yield self._of_app(f"{app}/{COMPOSE}", service, message, hint)
                continue
            place = places.get(f"{name}.image") or places.get(name) or f"roles/{box.role}.yaml:1"
            file, _, line = place.rpartition(":")
            yield Problem(file, int(line), 0, message, hint)

    def _strange(self, box: Box) -> Iterator[Problem]:
        """What only the assembler, or runc on the box, would refuse of what is written."""
        if self._wrong is None:
            return
        whole = self._sound("fleet.yaml", "boot/", f"roles/{box.role}.yaml", f"boxes/{box.name}.yaml")
        found = [*dict.fromkeys(strange(box, self._label))]
        places = origins(self._tree, box) if found else {}
        for name, message, hint in found:
            place = places.get(name) or places.get(name.rpartition(".")[0])
            file, _, line = (place or f"roles/{box.role}.yaml:1").rpartition(":")
            # Of the rest, what a sound file says of itself; whom a name means, all containers say together.
            if whole or (place and self._sound(file) and name.rpartition(".")[2] not in PEOPLE):
                yield Problem(file, int(line), 0, message, hint)

    def _of_app(self, path: str, service: str, message: str, hint: str) -> Problem:
        document = read(self._tree.read(path), path, [], Fragments) or Document(path)
        return document.problem(("services", service), message, hint)

    def _config(self, image: str) -> Json | None:
        known = self._known(image)
        return known if known is not None or self._alone else self._of_package(image.removeprefix(PACKAGE))

    def _label(self, image: str) -> Json | None:
        """What an image's label says of its containers, as far as its package tells."""
        package = self._fleet.packages.get(image.removeprefix(PACKAGE))
        return {"Labels": {LABEL: json.dumps(package.config)}} if package and package.config else None

    def _of_package(self, path: str) -> Json | None:
        """What a package's image will say of a command, as far as anybody knows that."""
        label: Json = {}
        for _ in self._fleet.packages:  # a chain is no longer than all of them
            package = self._fleet.packages.get(path)
            if package is None:
                return None
            label = label or ({LABEL: json.dumps(package.config)} if package.config else {})
            if package.starts == "named":
                return NAMED
            if not package.starts.startswith(SIBLING):
                return {"Labels": label} if package.starts == "nothing" else None
            path = package.starts.removeprefix(SIBLING)
        return None


def told(problems: Sequence[Problem]) -> tuple[str, ...]:
    """What is wrong with boxes, in sentences with the place; the first `SHOWN`."""
    sentences = tuple(f"{each.file}:{each.line}: {each.message}; {each.hint}" for each in problems[:SHOWN])
    more = (f"{len(problems) - SHOWN} more containers name no command",) if len(problems) > SHOWN else ()
    return sentences + more


def few(names: Sequence[str]) -> str:
    """Names of boxes, as many as one reads."""
    more = f" and {len(names) - BOXES} more" if len(names) > BOXES else ""
    return ", ".join(names[:BOXES]) + more

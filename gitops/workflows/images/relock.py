"""images.lock made anew: what every tag that a fleet repo names means now.

In: a tree, its registries. Out: the text, what moved, what could not be asked. Rules: what cannot be had, or may not be
taken, stays as it was; lines that nothing asks for go; a repo without tags needs no images.lock.

    made = relock(FolderTree(Path("fleet")), Registries(settings, trust))
    made.data, made.moved, made.problems
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gitops.errors import RegistryError
from gitops.fleet.images.lockfile import FILE, dump, pins
from gitops.fleet.images.tracked import Tracked, tracked
from gitops.model import Tree
from gitops.workflows.images.ask import Answer, Registries


@dataclass(frozen=True)
class Relocked:
    """`data`: the text, empty where none is needed. `problems`: image -> what is wrong."""

    data: bytes
    lines: int
    moved: tuple[str, ...]
    problems: dict[str, str]


def relock(tree: Tree, registries: Registries) -> Relocked:
    """Ask for every tag."""
    wanted, before = tracked(tree), pins(tree)
    found: dict[str, str] = {}
    moved, problems = list[str](), dict[str, str]()
    for answer in registries.ask(wanted, before):
        try:
            found[answer.reference] = _taken(answer, registries)
        except RegistryError as error:
            problems[answer.reference] = error.message + (f"; {error.hint}" if error.hint else "")
            continue
        if answer.moved:
            moved.append(f"{answer.reference} {', '.join(answer.now) or 'new'} -> {answer.found}")
    rows = {one.written: digest for one in wanted if (digest := _digest(one, found, before))}
    there = rows or FILE in tree.entries()
    return Relocked(dump(rows) if there else b"", len(rows), tuple(moved), problems)


def _taken(answer: Answer, registries: Registries) -> str:
    if not answer.found:
        raise RegistryError(answer.why)
    if answer.moved:
        registries.judge(answer)
    return answer.found


def _digest(one: Tracked, found: dict[str, str], before: Mapping[str, str]) -> str:
    """The digest of a line; empty: there is none, or the one beside the tag is right."""
    digest = found.get(one.reference) or before.get(one.written, "")
    return "" if digest == one.beside else digest

"""Several boxes that a verb is about: said with their number, and agreed to, before anything is done.

In: --role, --site, --label. Out: names. Rules: a box that comes later is not among them.

    meant = chosen(role, site, label)
    names = agreed(store, meant, "held", yes)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gitops.cli.showing.asking import sure
from gitops.cli.showing.choosing import labels
from gitops.cli.showing.words import talk
from gitops.rollout.choosing.several import Several

if TYPE_CHECKING:
    from gitops.store import Store
    from gitops.workflows.acting.several import Done

SHOWN = 20
"""Names of boxes, and refusals, that are shown."""


def chosen(role: Sequence[str] | None, site: Sequence[str] | None, label: Sequence[str] | None) -> Several:
    """Raises TowerosError: a label is none."""
    return Several(tuple(role or ()), tuple(site or ()), labels(label or ()))


def agreed(store: "Store", meant: Several, done: str, yes: bool) -> list[str]:
    """Who is meant. Raises TowerosError: nobody is, or somebody said no."""
    from gitops.rollout.places import places

    names = meant.of(places(store))
    ask(names, f"({meant.words})", done, yes)
    return names


def ask(names: Sequence[str], which: str, done: str, yes: bool) -> None:
    """Say how many they are. Raises TowerosError: somebody said no, or nobody is there."""
    many = f"{len(names)} boxes are" if len(names) != 1 else "1 box is"
    sentence = f"{many} {done} {which}: {some(names)}"
    if yes:
        talk.print(sentence)
    sure(sentence, yes)


def some(names: Sequence[str]) -> str:
    """The first of them, and how many more."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def and_more(done: "Done") -> None:
    """Why others refused."""
    for error in list(done.refused.values())[:SHOWN]:
        talk.print(f"{error.message}; {error.hint}")

"""What may follow the words that were typed.

In: the words behind `toweros`, the last of them begun or empty. Out: whole words that go on with it. Rules:

- Names of boxes, roles, sites and packages: of the fleet repo in this folder (or `-C`), and of the controller's state,
  if it can be read. Only what can be such a name is offered: a file called `$(reboot).yaml` is nobody's name.
- A value may stand behind `=`, too.
- Nothing is made, and nothing that fails is told: then there is less on offer.

    offered(["box", "ssh", "gw-"])      # ["gw-north", "gw-south"]
"""

import contextlib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gitops.cli.completing.tree import FILES, Verb, tree

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,100}")
"""No shell and no terminal acts on it."""
ANYTHING = "*anything*"
MOST = 20_000
"""Names of one kind, and entries of a folder that are looked at."""
FOLDERS = {"*boxes*": "boxes", "*roles*": "roles", "*packages*": "pkg"}
FOLDER_OPTIONS, STATE_OPTIONS, CONFIG_OPTIONS = ("-C", "--dir"), ("--state",), ("-c", "--config")


def offered(words: Sequence[str]) -> list[str]:
    """In order; `*files*` alone: the shell's own files."""
    *before, last = words or [""]
    option, equals, value = last.partition("=")
    if last == "=" or (equals and option.startswith("--")):  # of `--role=r` bash makes three words, zsh and fish one
        found = offered([*before, option, value] if option else [*before, ""])
        return [word if word == FILES else f"{option}{equals * bool(option)}{word}" for word in found]
    before = [word for word in before if word != "="]
    verbs = tree()
    path, value = _place(verbs, before)
    verb = verbs[path]
    if value is not None:
        found = _words(value, before)
    elif last.startswith("-"):
        found = list(verb.options)
    else:
        found = [*verb.below, *_words(verb.takes, before)]
    return sorted({word for word in found if word == FILES or word.startswith(last)})


def _place(verbs: dict[str, Verb], before: Sequence[str]) -> tuple[str, Any]:
    """The verb that was named, and what the option takes behind which we are; None: behind none."""
    path, value = "", None
    for word in before:
        if value:
            value = None
        elif word in verbs[path].options:
            taken = verbs[path].options[word]
            value = ANYTHING if taken is None else taken or None  # behind a flag comes the next word
        elif (longer := f"{path} {word}".strip()) in verbs:
            path = longer
    return path, value


def _words(value: Any, before: Sequence[str]) -> list[str]:
    if isinstance(value, list | tuple):
        return list(value)
    if value == FILES:
        return [FILES]
    if not isinstance(value, str) or value not in {*FOLDERS, "*sites*"}:
        return []
    names = {*_of_folder(value, Path(_option(before, FOLDER_OPTIONS) or "."))}
    with contextlib.suppress(Exception):  # whatever is wrong with the state: nobody asked for it here
        names |= {*_of_store(value, before)}
    return sorted(name for name in names if NAME.fullmatch(name))[:MOST]


def _of_folder(kind: str, folder: Path) -> Iterator[str]:
    """By the names of files alone."""
    if kind not in FOLDERS or not (folder / "fleet.yaml").is_file():
        return
    with contextlib.suppress(OSError), os.scandir(folder / FOLDERS[kind]) as entries:
        for _, entry in zip(range(MOST), entries, strict=False):
            if kind == "*packages*":
                yield f"pkg/{entry.name}"
            elif entry.name.endswith(".yaml"):
                yield entry.name.removesuffix(".yaml")


def _of_store(kind: str, before: Sequence[str]) -> Iterator[str]:
    from gitops.cli import context  # the store takes long to load

    config, state = (_option(before, each) for each in (CONFIG_OPTIONS, STATE_OPTIONS))
    settings = context.settings(Path(config) if config else None, Path(state) if state else None)
    if (store := context.existing_store(settings)) is None:
        return
    from gitops.store.notes.directory import Roster
    from gitops.store.notes.documents import Planned

    if kind == "*boxes*":
        yield from (each.name for each in store.states.all())
    elif kind == "*packages*":
        yield from (store.notes.get(Planned) or Planned()).packages
    else:
        rows = (store.notes.get(Roster) or Roster()).rows.values()
        yield from (each.role if kind == "*roles*" else each.site for each in rows)


def _option(words: Sequence[str], names: Sequence[str]) -> str:
    """The value of an option that was typed before."""
    pairs = itertools.pairwise(words)
    return next((value for word, value in pairs if word in names), "")

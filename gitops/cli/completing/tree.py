"""Every verb with its options, and what each takes: made once, then read from the user's cache.

In: the application. Out: `Verb`s by their path (`box ssh`). Rules: to load all verbs takes seconds, so the tree is
kept in a file named after what it was made of; one that cannot be read is made again.

    tree()["box ssh"].takes         # ["boxes"]
"""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import gitops.cli
from gitops.cli.context import users_cache

FILES = "*files*"
"""What is taken is a file: the shell knows better."""
KINDS = {
    "box": "*boxes*", "boxes": "*boxes*", "names": "*boxes*", "role": "*roles*", "site": "*sites*",
    "package": "*packages*", "packages": "*packages*", "paths": "*packages*",
}  # fmt: skip
"""Parameter -> which names; of `box` and its kin, `name` is a box as well."""
BOXES_BY_NAME = ("box ", "vm ", "get box")
MOST = 1 << 20
"""Bytes of the kept tree."""


@dataclass(frozen=True)
class Verb:
    """`below`: its verbs; `options` -> what each takes (words, or one of `KINDS`; empty: nothing, null: anything);
    `takes`: the same of its argument."""

    below: tuple[str, ...]
    options: Mapping[str, Any]
    takes: Any


def tree() -> dict[str, Verb]:
    """By path; the whole command's is empty."""
    place = users_cache() / f"completion-{_made_of()}.json"
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError), place.open("rb") as stream:
        return {path: Verb(**verb) for path, verb in json.loads(stream.read(MOST)).items()}
    made = dict(_walk(_application(), ""))
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        for old in place.parent.glob("completion-*.json"):
            old.unlink()
        part = place.with_suffix(".part")
        part.write_text(json.dumps({path: asdict(verb) for path, verb in made.items()}))
        part.replace(place)
    return made


def _made_of() -> str:
    """A digest of what the verbs' modules are: another version has another one."""
    top = Path(gitops.cli.__path__[0])
    facts = [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(top.rglob("*.py"))]
    return sha256(repr(facts).encode()).hexdigest()[:16]


def _application() -> Any:
    from typer.main import get_command

    from gitops.cli.main import application

    before, sys.argv = sys.argv, ["toweros"]  # every verb
    try:
        return get_command(application())
    finally:
        sys.argv = before


def _walk(command: Any, path: str) -> Iterator[tuple[str, Verb]]:
    below = {name: each for name, each in getattr(command, "commands", {}).items() if not each.hidden}
    options: dict[str, Any] = {"--help": ""}
    takes: Any = None
    for parameter in command.params:
        if parameter.param_type_name == "option":
            options |= dict.fromkeys((*parameter.opts, *parameter.secondary_opts), _taken(parameter, path))
        elif takes is None:
            takes = _taken(parameter, path)
    yield path, Verb(tuple(below), options, takes)
    for name, each in below.items():
        yield from _walk(each, f"{path} {name}".strip())


def _taken(parameter: Any, path: str) -> Any:
    """What a parameter takes."""
    if getattr(parameter, "is_flag", False):
        return ""
    said, name = parameter.type_descriptor.annotation, parameter.name.strip("_")
    kind = next(iter(get_args(said)), said)  # list[X]: X
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(each.value) for each in kind]
    if isinstance(kind, type) and issubclass(kind, Path):
        return FILES
    if name == "name" and f"{path} ".startswith(BOXES_BY_NAME):
        return "*boxes*"
    return KINDS.get(name)

"""The variables that a compose file asks for, and whether anybody says what they are. Pure.

In: a compose file's value, the names that are known. Out: each `$NAME` and `${NAME}` without a default that nobody
sets, with its place. Rules: compose reads `.env` beside the file and its own environment on the box, and takes what is
not there for an empty string: that starts, and is something else than was meant.

    [*unset({"services": {"a": {"user": "${WHO}"}}}, {"PATH"})]     # [(("services", "a", "user"), "WHO")]
"""

import re
from collections.abc import Collection, Iterator
from typing import Any

from gitops.fleet.documents.yaml import Path
from gitops.model import Json, Spec

ON_EVERY_BOX = ("PATH", "HOME", "HOSTNAME", "COMPOSE_PROJECT_NAME")
SERVICE = "compose"
"""The system container that runs compose: what a role or box sets there (`services: {compose: {env: ..}}`) is known."""
_VARIABLE = re.compile(r"\$(?:\$|(?P<plain>[A-Za-z_]\w*)|\{(?P<named>[A-Za-z_]\w*)(?P<rest>[^}]*)\})")
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=")


def unset(value: Any, known: Collection[str], place: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where a variable is used that is nowhere set, and its name."""
    if isinstance(value, str):
        for match in _VARIABLE.finditer(value):
            name, rest = match["plain"] or match["named"], match["rest"] or ""
            if name and name not in known and not rest.startswith(("-", ":-", "+", ":+")):
                yield place, name
    elif isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from unset(part, known, (*place, key))


def sources(value: Json, known: Collection[str]) -> Iterator[tuple[Path, str]]:
    """Where a variable is what a configuration or secret is made of (`environment: NAME`), and nobody sets it: compose
    starts none of the services that have it."""
    for kind in ("configs", "secrets"):
        entries, used = value.get(kind), _used(value.get("services"), kind)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            variable = entry.get("environment") if isinstance(entry, dict) and name in used else None
            if isinstance(variable, str) and "$" not in variable and variable not in known:
                yield (kind, name, "environment"), variable


def _used(services: Any, kind: str) -> set[Any]:
    """The configurations or secrets that a service has: what nobody has is in nobody's way."""
    lists = (
        [each.get(kind) for each in services.values() if isinstance(each, dict)] if isinstance(services, dict) else []
    )
    words = [word for each in lists if isinstance(each, list) for word in each]
    return {name for word in words if isinstance(name := word.get("source") if isinstance(word, dict) else word, str)}


def set_in(data: bytes) -> set[str]:
    """The names that a `.env` file sets."""
    lines = data.decode(errors="replace").splitlines()
    return {match[1] for line in lines if (match := _LINE.match(line))}


def environment_of(spec: Spec) -> dict[str, str]:
    """What the service that runs compose has in its environment, by the box's own spec."""
    settings = next((each.settings for each in spec.services if each.name == SERVICE), {})
    pairs = (str(line).partition("=") for line in settings.get("env") or ())
    return {name: value for name, _, value in pairs}

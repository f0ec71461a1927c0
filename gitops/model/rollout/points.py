"""A point of the history that fleet.yaml, a role or a box names: a tag, or a whole commit id. Pure.

In: words of Git. Out: names that Git could have. Rules: a commit is named by all of its 40 hex digits, since a shorter
word may mean another one tomorrow; which commit a tag means is asked of the remote (`gitops.source.points`).

    pin: v1.2
    floor: [v1.0, 5c1e0a4c2b2fb1d4a1b2c3d4e5f60718293a4b5c]
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

COMMIT = re.compile(r"[0-9a-f]{40}")
_HEX = re.compile(r"[0-9a-f]{7,39}")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._/+-]*[A-Za-z0-9_+-])?", re.ASCII)
_NEVER = re.compile(r"\.\.|//|/\.|\./|\.lock(?:/|$)")
"""git-check-ref-format(1)."""


def is_commit(name: str) -> bool:
    """Whether it is a commit's id, and no tag."""
    return bool(COMMIT.fullmatch(name))


def _point(name: str) -> str:
    if _HEX.fullmatch(name):
        raise ValueError(
            "this is a part of a commit id, which may mean another one tomorrow: all 40 digits are expected"
        )
    if not _NAME.fullmatch(name) or _NEVER.search(name):
        raise ValueError("a tag such as v1.2, or a whole commit id, is expected")
    return name


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Point = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_point)]
Points = Annotated[
    tuple[Point, ...], Field(max_length=16), BeforeValidator(_several, json_schema_input_type=str | list[str])
]

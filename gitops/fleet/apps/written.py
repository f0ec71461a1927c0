"""A compose file as it is written for the box, and for compose when it is asked: values with their tags. Pure.

In: an app's `compose` value, its services as they are to be. Out: YAML. Rules: `!reset` and `!override` of a service
that extends another one are compose's own affair, so they are written where they stood; what TowerOS notes for itself
(`OWN`) is not.

    text({"services": {"a": {"extends": "b"}}, "x-toweros": {"tags": [["!reset", "services", "a", "ports"]]}}, services)
"""

from collections.abc import Sequence
from typing import Any

import yaml

from gitops.model import Json
from gitops.model.fleet import OWN


class _Tagged:
    """A value under a tag."""

    def __init__(self, tag: str, value: Any) -> None:
        self.tag, self.value = tag, value


class _Dumper(yaml.SafeDumper):
    """Knows tagged values."""


def _tagged(dumper: yaml.SafeDumper, each: _Tagged) -> yaml.Node:
    node = dumper.represent_data(each.value)
    node.tag = each.tag
    return node


_Dumper.add_representer(_Tagged, _tagged)


def text(compose: Json, services: Json) -> str:
    """The whole file, with these services."""
    value: Json = {key: part for key, part in compose.items() if key != OWN} | {"services": services}
    for tag, *place in (compose.get(OWN) or {}).get("tags", ()):
        value = _with_tag(value, tag, place)
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _with_tag(value: Any, tag: str, place: Sequence[str]) -> Any:
    """With the tag at a place, if what is around it is still there; nothing stands below `!reset`."""
    if not place:
        return _Tagged(tag, value)
    if not isinstance(value, dict) or (len(place) == 1 and tag != "!reset" and place[0] not in value):
        return value
    inside = value.get(place[0])
    return value | {place[0]: _with_tag(inside, tag, place[1:])} if len(place) == 1 or inside is not None else value

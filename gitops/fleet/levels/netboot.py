"""Machines that the network starts: each is known by one thing, and to one box.

In: the boxes' files, and what they say. Out: mistakes, at the later of two boxes that claim one machine, also where one
of them does by `hardware:`: that gives a machine its name which has none, and so another one. Pure.

    problems += machines(levels, boxes)     # boxes/b.yaml:2:11: 52:54:00:12:34:56 is a's already
"""

from collections.abc import Iterator, Mapping

from gitops.errors import Problem
from gitops.fleet.overlay import Parsed
from gitops.fleet.schema import BoxFile
from gitops.model import Box

KINDS = ("mac", "uuid")
GROUP_BIT = 1
"""Of a MAC's first byte: an address of many (IEEE 802, 8.2); no card has one of its own."""


def machines(boxes: Mapping[str, Parsed[BoxFile]], said: Mapping[str, Box]) -> Iterator[Problem]:
    """What is wrong with how boxes are known to the server."""
    named = {box.hardware.mac: name for name, box in said.items() if box.hardware and box.hardware.mac}
    owners: dict[str, str] = {}
    for name, box in boxes.items():
        known = box.content.members().get("netboot")
        if known is None:
            continue
        whole = not any(path[:1] == ("netboot",) for path in box.dropped)
        if whole and len([kind for kind in KINDS if kind in known]) != 1:
            hint = "write netboot: {mac: ...} or netboot: {uuid: ...}"
            yield box.problem(("netboot",), "either `mac` or `uuid` is expected", hint)
        for kind in (kind for kind in KINDS if kind in known):
            value = known[kind]
            if kind == "mac" and int(value[:2], 16) & GROUP_BIT:
                yield box.problem(("netboot", kind), f"{value} is the address of a group", "take the card's own")
            if named.get(value, name) != name:
                hint = f"see `hardware` of boxes/{named[value]}.yaml: one machine is one box"
                yield box.problem(("netboot", kind), f"{value} is {named[value]}'s already", hint)
            elif owners.setdefault(value, name) != name:
                hint = f"two boxes cannot be one machine: see boxes/{owners[value]}.yaml"
                yield box.problem(("netboot", kind), f"{value} is {owners[value]}'s already", hint)

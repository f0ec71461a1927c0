"""`wipe:` of boxes/NAME.yaml: which orders are no orders, but accidents.

In: the boxes' files, and what they say. Out: mistakes. Pure. Rules: no key is wiped under two names, as a block that
was copied would be; no commit wipes every box of a role: the last of several goes once the others are out of the fleet;
what the network starts has no disk.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from gitops.errors import Problem
from gitops.fleet.overlay import Parsed
from gitops.fleet.schema import BoxFile
from gitops.model import Box


def orders(boxes: Mapping[str, Parsed[BoxFile]], said: Mapping[str, Box]) -> Iterator[Problem]:
    """What is wrong with who is to be wiped."""
    roles, owners = defaultdict[str, list[str]](list), dict[str, str]()
    for name in sorted(said):
        roles[said[name].role].append(name)
        wipe = said[name].wipe
        if wipe and (other := owners.setdefault(wipe.key, name)) != name:
            hint = f"each machine has a key of its own: `toweros box wipe {name}` writes the block"
            yield boxes[name].problem(("wipe", "key"), f"this key is to be wiped as {other} already", hint)
        if wipe and said[name].netboot:
            hint = "delete the box's file; a key stick is wiped where it is"
            yield boxes[name].problem(("wipe",), "the network starts this box: it has no disk to wipe", hint)
    for role, names in roles.items():
        if len(names) > 1 and all(said[name].wipe for name in names):
            message = f"every box of the role {role} would be wiped ({len(names)} of them)"
            hint = "wipe some, delete their files when they are Wiped, then go on with the others"
            yield boxes[names[-1]].problem(("wipe",), message, hint)

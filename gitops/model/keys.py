"""What follows from a member of `Box`, declared beside it: where files say it, how it is told, what it writes.

In: a dataclass whose members are annotated with a `Key`. Out: the keys, by name. All that treats keys alike asks here
(ADR 17): the files' schemas, fleet > role > box, a box's identity, the words of a plan, the agent's drop-in. Rules:

- a key with `levels` is plain: the member's type is its schema, null is as an absent key, the nearest level counts;
- a key with a `word` is part of what a release is made from: another value makes the box again, and the plan says why;
- None writes nothing and is no part of the identity: a new key whose default is None changes no box that there is.

    zone: Annotated[str | None, Key("The time zone.", EVERYWHERE, word="time zone", writes=DROP_IN)] = None
"""

import enum
from dataclasses import dataclass, fields
from typing import Any

DROP_IN = "etc/toweros/agent.d/50-box.toml"
"""What the agent reads: a line for each key that it writes."""
NOC_DROP_IN = "etc/toweros/agent.d/60-noc.toml"
"""The same for the site's own server: an older agent, which does not know that key, leaves this file out alone."""
STATIC_ADDRESS = "etc/dhcpcd.conf.d/50-box.conf"
WIRING = "etc/toweros/network"
"""Links, proxy, clocks (`model.network.wiring`). Certificates are in a file beside it."""


class Level(enum.StrEnum):
    """The files of a fleet repo that say what a box is; the later one counts."""

    fleet = "fleet"
    role = "role"
    box = "box"


EVERYWHERE = tuple(Level)


@dataclass(frozen=True)
class Key:
    """`help` is for editors. `levels` is empty where the files have rules of their own (`gitops.fleet.schema`).

    `word` is how a plan names a change; empty for what says where and when, not what. `writes` is the file of the box
    that TowerOS makes of it.
    """

    help: str = ""
    levels: tuple[Level, ...] = ()
    word: str = ""
    writes: str = ""


def keys_of(noun: Any) -> dict[str, Key]:
    """The keys that a dataclass's members are annotated with, in their order."""
    facts = {member.name: getattr(member.type, "__metadata__", ()) for member in fields(noun)}
    return {name: fact for name, each in facts.items() for fact in each if isinstance(fact, Key)}

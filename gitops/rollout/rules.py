"""Who may take what, and why not. Pure.

In: per box the content it should run, how it is, its role; the policy. Out: per box a `Take` or a `Hold`.
Rules, per role:

- A held fleet or box takes nothing.
- The first release of a box is always offered: it has nothing to lose.
- `policy.canaries` boxes go first; the others wait until every canary runs its wanted content and is Healthy.
- When `policy.max_failures` boxes reported `failed` for their wanted content, nobody else takes theirs.
- Canaries that took the content stay the canaries: there are never more boxes at risk than the policy says. One that
  falls silent after that may have been lost by it: the others wait until somebody holds it, or it comes back.
- A box whose release cannot be made or offered, or that cannot take one (it runs from a medium), is no canary: neither
  do the others wait for it, nor does what it has prove anything.
- A box that is silent already is no canary while another of its role can be.
- A box alone in its role is its own canary.
- Who waits must not take an older offer either: Git has left it behind (workflows/offer.py, `SUPERSEDED`).

    decisions = decide({"a": digest, "b": digest}, facts, {"a": "site", "b": "site"}, policy)
    decisions["b"]      # Hold(HoldReason.WAITS_FOR_CANARY, "a: Progressing")
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gitops.model import BoxState, Health, Hold, HoldReason, Policy


class Take(StrEnum):
    """Why a box may be offered what it is wanted to run."""

    OFFERED = "offered already"
    FIRST = "first release"
    CANARY = "canary"
    PROVEN = "canaries are Healthy"


Decision = Take | Hold


@dataclass(frozen=True)
class Facts:
    """How a box is, by content digest. `failed`: contents that it reported `failed` for.

    `health` is `MISSING` when it has been silent too long, `UNKNOWN` when it never reported.
    """

    published: str = ""
    running: str = ""
    health: Health = Health.UNKNOWN
    failed: frozenset[str] = frozenset()
    leased: bool = False
    """It may restart at any moment, or did."""
    tried: int = 0
    """It had its turn already, and gave it back: the number of that permission. Who had none goes before."""

    @classmethod
    def of(cls, state: BoxState, now: float) -> "Facts":
        return cls(state.published.content, state.running.content, state.heard(now), state.failed)


NOBODY = Facts()


def decide(
    wanted: Mapping[str, str],
    facts: Mapping[str, Facts],
    roles: Mapping[str, str],
    policy: Policy,
    suspended: Mapping[str, str] | None = None,
    apart: Collection[str] = (),
) -> dict[str, Decision]:
    """A decision for every box in `wanted`. `suspended`: box -> who holds it and why; `apart`: boxes that cannot be
    offered theirs, which are nobody's canary. Whom `wanted` names earlier is a canary first."""
    held = {box: reason for box, reason in (suspended or {}).items() if reason}
    decisions: dict[str, Decision] = {}
    members = defaultdict[str, list[str]](list)
    for box in wanted:
        members[roles[box]].append(box)
    for role in sorted(members):
        decisions |= _role(members[role], wanted, facts, policy, held, apart)
    return decisions


def canaries(members: Sequence[str], wanted: Mapping[str, str], facts: Mapping[str, Facts], count: int) -> list[str]:
    """Who goes first: boxes that were offered theirs already, then those that are heard, or ran once, then in their
    order."""

    def rank(box: str) -> tuple[bool, bool, int, bool]:
        fact = facts.get(box, NOBODY)
        return fact.published != wanted[box], fact.health == Health.MISSING, fact.tried, not fact.running

    return sorted(members, key=rank)[:count]


def _role(
    members: Sequence[str],
    wanted: Mapping[str, str],
    facts: Mapping[str, Facts],
    policy: Policy,
    held: Mapping[str, str],
    apart: Collection[str],
) -> dict[str, Decision]:
    free = [box for box in members if box not in held and box not in apart]
    first = canaries(free, wanted, facts, max(policy.canaries, 1))
    failures = [box for box in members if wanted[box] in facts.get(box, NOBODY).failed]
    waiting = [box for box in first if not _proven(facts.get(box, NOBODY), wanted[box])]
    decisions: dict[str, Decision] = {}
    for box in members:
        fact = facts.get(box, NOBODY)
        if box in held:
            decisions[box] = Hold(HoldReason.SUSPENDED, held[box])
        elif fact.published == wanted[box]:
            decisions[box] = Take.OFFERED
        elif len(failures) >= policy.max_failures:
            decisions[box] = Hold(HoldReason.STOPPED, ", ".join(failures))
        elif not fact.published:
            decisions[box] = Take.FIRST
        elif box in first:
            decisions[box] = Take.CANARY
        elif waiting:
            who = waiting[0]
            decisions[box] = Hold(HoldReason.WAITS_FOR_CANARY, f"{who}: {_health_of(facts.get(who, NOBODY))}")
        else:
            decisions[box] = Take.PROVEN
    return decisions


def _proven(fact: Facts, wanted: str) -> bool:
    return fact.published == wanted == fact.running and fact.health == Health.HEALTHY


def _health_of(fact: Facts) -> str:
    return "no report" if fact.health == Health.UNKNOWN else fact.health

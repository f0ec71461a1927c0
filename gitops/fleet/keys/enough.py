"""Whether those who could sign today are enough for what a policy asks. Pure.

In: a threshold, limited names, rules' signers; the names of each key that could sign. Out: what is missing, in words.

    too_few(2, set(), Proof([("ada",)]), {})     # 2 people must sign, and keys/ lists 1 who could today: ...
"""

from collections.abc import Iterable, Mapping
from typing import Protocol


class Could(Protocol):
    """Whose signature would count today: `gitops.fleet.keys.proof.Proof`."""

    able: list[tuple[str, ...]]

    @property
    def unbounded(self) -> bool: ...
    def can(self, name: str) -> bool: ...


def too_few(threshold: int, limited: Iterable[str], proof: Could, person: Mapping[str, str]) -> str:
    """What is missing for the next commit to be signed by enough people; empty: nothing. An authority certifies as many
    as its patterns have names for."""
    if proof.unbounded:
        return ""
    held = set(limited)
    people = {person.get(names[0], names[0]) for names in proof.able if not held & set(names)}
    if threshold > 1 and len(people) < threshold:
        return (
            f"{threshold} people must sign, and keys/ lists {len(people)} who could today: nobody could deploy any more"
        )
    return "" if people else "nobody in keys/ could sign the next commit today: nobody could deploy any more"


def nobody_for(rules: Iterable[tuple[str, ...]], proof: Could) -> list[tuple[str, ...]]:
    """For each rule its signers, if none of them could sign; else nothing."""
    return [() if any(proof.can(name) for name in signers) else signers for signers in rules]

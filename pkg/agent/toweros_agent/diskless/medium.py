"""Housekeeping on a medium: an optical disc, a stick, a disk that an ISO was written to.

Rules: what runs is what is on the medium, for good: nothing newer is fetched, as the next start would have the same
release again; the report says so, and that it is a medium: the rollout waits for no such box. The rest is as on a box
that keeps nothing.
"""

from toweros_agent.diskless.upkeep import Diskless

STAYS = (
    "another release is offered, which this box cannot take: it runs from a medium, and a medium does not change;"
    " write a new one (`toweros box image --format iso`), or install it on a disk (docs/media.md)"
)


class OnMedium(Diskless):
    """Nothing is ever taken."""

    def waits(self) -> str | None:
        return STAYS

"""Housekeeping on a medium: an optical disc, a stick, a disk that an ISO was written to.

Rules: what runs is what is on the medium, for good: nothing newer is fetched, as the next start would have the same
release again; the report says what is offered, and the page that this box does not follow. The rest is as on a box that
keeps nothing.
"""

from toweros_agent.diskless.upkeep import Diskless

STAYS = "another release is offered: a medium does not change; write a new one, or install this box"


class OnMedium(Diskless):
    """Nothing is ever taken."""

    def waits(self) -> str | None:
        return STAYS

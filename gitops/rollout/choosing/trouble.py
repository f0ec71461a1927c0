"""What somebody must look at, and why: the same for the command line, pages and API.

In: how boxes are. Out: a word for each that is in trouble. Rules: it is Degraded or Missing, refuses something, went
back from a release and runs another, or has a key that was revoked: also one that says that it is Healthy.

    trouble(status, "3 h")      # "silent for 3 h"
    why(store, ["site-7"])      # {"site-7": "no space on STATE"}
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gitops.model import Health
from gitops.rollout.status import BoxStatus

if TYPE_CHECKING:
    from gitops.store import Store

LONGEST = 500
"""Characters of why a box is Degraded."""


def trouble(box: BoxStatus, unheard: str = "") -> str:
    """Why somebody must look at it; empty: nobody must. `unheard`: for how long it said nothing, in words."""
    words = [f"went back: {box.fell_back}"] if box.fell_back else []
    words += [box.error] * bool(box.error) + ["its key is revoked"] * box.revoked
    if box.health == Health.MISSING:
        words.insert(0, f"silent for {unheard}")
    return "; ".join(words) or (str(box.health) if box.health == Health.DEGRADED else "")


def why(store: "Store", boxes: Sequence[str]) -> Mapping[str, str]:
    """What those of these that are Degraded say of it in their last report."""
    said = store.words.of(boxes) if boxes else {}
    told = {box: "; ".join(map(str, words.get("degraded") or ()))[:LONGEST] for box, words in said.items()}
    return {box: words for box, words in told.items() if words}

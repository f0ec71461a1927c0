"""That a machine is to be wiped: `wipe:` of boxes/NAME.yaml (ADR 70). Pure.

wipe: {key: 3b6a27bc..., why: "ada: sold"}      # as `toweros box wipe NAME` writes it

The key is the machine's own, so that an order ends one machine, once, and none that has the name later.
"""

from typing import Annotated

from pydantic import ConfigDict, StringConstraints
from pydantic.dataclasses import dataclass

KEY = "^[0-9a-f]{64}$"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Wipe:
    """`key` (Ed25519, hex): whose machine loses its keys, its data and what starts it; `why` is `who: why`."""

    key: Annotated[str, StringConstraints(pattern=KEY)]
    why: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\n]+$")]

"""What deltas between layers may cost that are made while nobody waits.

[deltas]
disk = "2GiB"
share = 25
"""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
SIZE = re.compile(r"([0-9]{1,15}) ?(|B|KiB|MiB|GiB|TiB)")


class Deltas(BaseModel):
    """Of a controller. Those from the release before are made with each release, whatever this says."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    disk: int = Field(default=2 << 30, ge=0, le=1 << 50)
    """Bytes of all deltas together (`"2GiB"`); 0: none are made."""
    share: int = Field(default=25, ge=1, le=100)
    """Percent of one core: after each delta nothing is done for so long. It has the lowest priority anyway."""
    seconds: int = Field(default=300, ge=1, le=86_400)
    """Processor seconds of one delta: what takes longer is given up."""

    @field_validator("disk", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = SIZE.fullmatch(value.strip())
        if not found:
            raise ValueError('a size is expected, such as "2GiB" or "500MiB"; 0: no deltas')
        return int(found[1]) * UNITS[found[2]]

"""How a box's disk is divided: what `disk:` says in fleet.yaml, a role or a box.

In: `{layers: 4GiB, state: rest}`. Out: MiB for TOWEROS and STATE, and the word that the initrd reads. Rules: whole
MiB or GiB; one of the two may be `rest`, which grows with the disk; what is not said is 2 GiB for layers, and the rest
for STATE.

    DiskRule(layers="4GiB").word        # "4096,rest"
"""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, model_validator
from pydantic.dataclasses import dataclass

REST = "rest"
UNITS = {"MiB": 1, "GiB": 1024}
LEAST, MOST = 64, 16 << 20
"""MiB of a partition."""


def _size(text: str) -> str:
    number, unit = text[:-3], text[-3:]
    if text == REST:
        return text
    if not (number.isascii() and number.isdigit() and len(number) < 9 and unit in UNITS):
        raise ValueError("a size such as 4GiB or 512MiB, or `rest`, is expected")
    if not LEAST <= int(number) * UNITS[unit] <= MOST:
        raise ValueError(f"between {LEAST}MiB and {MOST // UNITS['GiB']}GiB is expected")
    return text


Size = Annotated[str, AfterValidator(_size)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class DiskRule:
    """`layers`: what TOWEROS gets, for layers and releases; `state`: user data."""

    layers: Size = "2GiB"
    state: Size = REST

    @model_validator(mode="after")
    def _one_rest(self) -> "DiskRule":
        if self.layers == self.state == REST:
            raise ValueError("only one of them can have the rest")
        return self

    def __str__(self) -> str:
        return f"layers {self.layers}, state {self.state}"

    @property
    def word(self) -> str:
        """LAYERS,STATE in MiB, or `rest`."""
        return f"{_mib(self.layers)},{_mib(self.state)}"


def _mib(size: str) -> str:
    return size if size == REST else str(int(size[:-3]) * UNITS[size[-3:]])

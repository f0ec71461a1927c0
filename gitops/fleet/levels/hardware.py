"""`hardware:` of boxes/NAME.yaml: which machine this box is, for machines that ask for a name (ADR 64).

hardware: {serial: 7XK2Q13, mac: "52:54:00:12:34:56"}     # the first machine that says both
hardware: {ek: 9f86d081...}                               # the one whose TPM proves it
hardware: {key: 3b6a27bc...}                              # this one: `toweros box adopt` writes it
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gitops.errors import Problem
from gitops.fleet.documents.strict import Strict
from gitops.model import Box
from gitops.model.machines.newcomer import Hardware

if TYPE_CHECKING:
    from gitops.fleet.overlay import Parsed
    from gitops.fleet.schema import BoxFile

NO_SERIAL = re.compile(
    r"0*|1?0?123456789\d?|(chassis|system|base ?board) serial number|default string|invalid|n/?a|none|unknown"
    r"|oem|o\.e\.m\.|not (applicable|available|specified)|to be filled by o\.e\.m\.",
    re.IGNORECASE,
)
"""What makers leave in the place of a serial number: thousands of machines say these."""


def _serial(text: str) -> str:
    if NO_SERIAL.fullmatch(text.strip()):
        raise ValueError("no serial number, but what makers write where they give none: name a `mac` instead")
    return text


def _mac(text: str) -> str:
    low = text.lower().replace("-", ":")
    if not re.fullmatch("([0-9a-f]{2}:){5}[0-9a-f]{2}", low):
        raise ValueError('six bytes such as "52:54:00:12:34:56" are expected')
    if int(low[:2], 16) & 1 or low == "00:00:00:00:00:00":
        raise ValueError("no address of one machine: it is a group's, or empty")
    return low


class HardwareRules(Strict):
    """Which machine this is: the one with this key, or else the first that says this serial number and MAC."""

    serial: Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,62}[!-~])?$"), AfterValidator(_serial)] | None = (
        Field(default=None, description="Of the chassis, else of the board (DMI). Anybody in its network can say it.")
    )
    mac: Annotated[str, AfterValidator(_mac)] | None = Field(
        default=None, description="Of any of its network cards. Anybody in its network can say it."
    )
    ek: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="The TPM's endorsement key, as `toweros box adopt --list` shows it once it is proven."
    )
    key: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="The machine's own key, as `toweros box adopt` writes it."
    )

    @model_validator(mode="after")
    def _one_way(self) -> "HardwareRules":
        others = self.serial or self.mac or self.ek
        if self.key is not None and others:
            raise ValueError("`key` says which machine it is: leave out `serial`, `mac` and `ek`")
        if not (self.key or others):
            raise ValueError("at least one of `serial`, `mac`, `ek` and `key` is expected")
        return self

    def noun(self) -> Hardware:
        return Hardware(self.serial or "", self.mac or "", self.key or "", self.ek or "")


def clashes(levels: "Mapping[str, Parsed[BoxFile]]", boxes: Mapping[str, Box]) -> Iterator[Problem]:
    """Boxes that would be one machine."""
    first: dict[tuple[str, str], str] = {}
    for name in sorted(boxes):
        asked = boxes[name].hardware or Hardware()
        for key, value in asdict(asked).items():
            if value and (other := first.setdefault((key, value), name)) != name:
                message = f"{value} is {other} already (boxes/{other}.yaml)"
                yield levels[name].problem(("hardware", key), message, "one machine is one box")

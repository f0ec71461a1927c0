"""`rollout:` in fleet.yaml: who goes first, who goes with whom, and how many at once.

In: the section, checked against `RolloutRules`. Out: `gitops.model.rollout.waves.Careful`. Rules: a wave's name is its
own; `max_unavailable` is one share for the fleet, or shares by `fleet`, `site` and names of labels; of a site or of one
value of a label, boxes that may not go together are those that `never_together` names.

    rollout:
      waves:
        - {name: lab, labels: {ring: lab}, soak: 1 day}
        - {name: some, percent: 10, soak: 4 hours, missing: 1}
      max_unavailable: {fleet: 5%, site: 2}
      never_together: [cell]
      on_stop: propose
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from gitops.fleet.documents.strict import Strict
from gitops.fleet.security import Duration
from gitops.model.fleet import WhoAndWhy
from gitops.model.rollout.reverts import OnStop
from gitops.model.rollout.waves import Careful, Share, Wave

NAME = Annotated[str, StringConstraints(pattern="^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
Text = Annotated[str, StringConstraints(max_length=1000)]


def _share(text: str | int) -> str | int:
    Share.parse(text)
    return text


def _some(text: str | int) -> str | int:
    if not Share.parse(text).number:
        raise ValueError("with 0 no box would ever go; `freeze` stops a rollout")
    return text


def _for_the_fleet(value: object) -> object:
    return value if isinstance(value, dict) else {"fleet": value}


Part = Annotated[str | int, AfterValidator(_share)]
Some = Annotated[str | int, AfterValidator(_some)]


class WaveRules(Strict):
    """Boxes that go together, and what stops it."""

    name: NAME
    boxes: tuple[NAME, ...] = Field(default=(), max_length=10_000)
    roles: tuple[NAME, ...] = Field(default=(), max_length=1000)
    sites: tuple[Text, ...] = Field(default=(), max_length=10_000)
    labels: dict[NAME, Text] = Field(default_factory=dict, max_length=64)
    percent: int = Field(default=100, ge=1, le=100)
    soak: Duration = 0
    failed: Part = 0
    missing: Part = 0
    degraded: Part = 0
    promote: WhoAndWhy | None = Field(
        default=None, description="`who: why`. Nobody waits for it, for what it is to run now; each text counts once."
    )

    def wave(self) -> Wave:
        return Wave(
            self.name, self.boxes, self.roles, self.sites, tuple(sorted(self.labels.items())), self.percent, self.soak,
            Share.parse(self.failed), Share.parse(self.missing), Share.parse(self.degraded), self.promote or "",
        )  # fmt: skip


class RolloutRules(Strict):
    """How many boxes of a role go first, after how many failures nobody follows; waves; how many at once; what becomes
    of what stopped."""

    canaries: int = Field(default=1, ge=0, le=1000)
    max_failures: int = Field(default=1, ge=1, le=1000)
    waves: tuple[WaveRules, ...] = Field(default=(), max_length=64)
    max_unavailable: Annotated[dict[NAME, Some], BeforeValidator(_for_the_fleet)] = Field(
        default_factory=dict, max_length=16, description="So many restart at once: of the fleet; by site; by a label."
    )
    never_together: tuple[NAME, ...] = Field(
        default=(), max_length=16, description="`site`, or labels: no two of one value, who is silent counts."
    )

    on_stop: OnStop = Field(
        default=OnStop.NOTHING,
        strict=False,
        description="`propose`: what stopped it is offered to be taken back, on a branch.",
    )

    @model_validator(mode="after")
    def _agree(self) -> "RolloutRules":
        names = [wave.name for wave in self.waves]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two waves are called {twice}; a wave's name is its own")
        if "rest" in names:
            raise ValueError("`rest` is who is in no wave; another name is expected")
        if "fleet" in self.never_together:
            raise ValueError("for one box at a time say `max_unavailable: 1`")
        return self

    def careful(self) -> Careful:
        limits: Any = tuple((key, Share.parse(share)) for key, share in sorted(self.max_unavailable.items()))
        return Careful(tuple(wave.wave() for wave in self.waves), limits, self.never_together, self.on_stop)

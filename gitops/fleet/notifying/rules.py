"""`notify:` in fleet.yaml: who is told of what.

In: the section. Out: rules (`gitops.model.notifying.rules`). Rules: a name is a rule's own; a receiver is named, and
stands in the controller's settings: addresses and secrets are no commits.

    notify:
      - {name: on-call, on: [Missing, Degraded, FellBack], sites: [Berlin], to: [hook]}
      - {name: lab, severity: [warning, normal], labels: {ring: lab}, to: [chat]}
      - {name: office, to: [mail], quiet: ["daily 18:00-08:00"], timezone: Europe/Berlin}
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from gitops.fleet.documents.strict import Strict
from gitops.model import Happened, Health
from gitops.model.notifying.rules import NotifyRule
from gitops.model.rollout.windows import WindowLine, Zone

NAME = Annotated[str, StringConstraints(pattern="^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=100)]
HEARD = "Heard"
WORDS = sorted({*Happened, *Health, HEARD, "Failed"})
"""Of the fleet: beside these, an event has the name of a refusal or of an error."""


def _word(text: str) -> str:
    if not text.isalnum() or not text[0].isupper():
        raise ValueError(f"what happened is one word, such as {', '.join(WORDS[:6])} (docs/notifications.md)")
    return text


class NotifyRules(Strict):
    """One rule."""

    name: NAME
    to: Annotated[tuple[NAME, ...], Field(min_length=1, max_length=10)]
    on: Annotated[tuple[Annotated[Text, AfterValidator(_word)], ...], Field(max_length=50)] = ()
    boxes: Annotated[tuple[NAME, ...], Field(max_length=200)] = ()
    roles: Annotated[tuple[NAME, ...], Field(max_length=200)] = ()
    sites: Annotated[tuple[Text, ...], Field(max_length=200)] = ()
    quiet: Annotated[tuple[WindowLine, ...], Field(max_length=20)] = ()
    timezone: Zone = "UTC"
    gather: Annotated[int, Field(ge=0, le=3600)] = 60
    severity: Annotated[tuple[Literal["warning", "normal"], ...], Field(max_length=2)] = ()
    labels: Annotated[dict[NAME, Text], Field(max_length=64)] = Field(default_factory=dict)

    def noun(self) -> NotifyRule:
        return NotifyRule(**self.model_dump() | {"labels": tuple(sorted(self.labels.items()))})


def _apart(rules: tuple[NotifyRules, ...]) -> tuple[NotifyRules, ...]:
    names = [rule.name for rule in rules]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise ValueError(f"two rules are called {twice}: a name is a rule's own")
    return rules


NotifySection = Annotated[
    tuple[NotifyRules, ...], Field(max_length=50, description="Who is told of what."), AfterValidator(_apart)
]

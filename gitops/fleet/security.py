"""`security:` in fleet.yaml: which updates are looked for by themselves, when, and how they are offered.

In: the section, checked against `SecurityRules`. Out: `gitops.model.Patching`. Rules: times are the library
`schedule`'s words or a cron line, never both; without the section nothing is looked for.

    security:
      every: day at 02:30
      timezone: Europe/Berlin
      how: pull-request
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from gitops.fleet.documents.strict import Strict
from gitops.model import Severity
from gitops.model.updates.patching import Grouping, How, Patching
from gitops.model.updates.when import DAILY, When

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}
MAX_JITTER = 86400
"""Seconds."""


def _seconds(value: object) -> object:
    """`20 minutes`, or a plain number of seconds."""
    match = re.fullmatch(r"([0-9]{1,6}) (second|minute|hour|day|week)s?", value) if isinstance(value, str) else None
    if isinstance(value, str) and not match:
        raise ValueError("a duration such as `20 minutes`, `3 days`, or a number of seconds is expected")
    return int(match[1]) * UNITS[match[2]] if match else value


Duration = Annotated[int, BeforeValidator(_seconds), Field(ge=0, le=366 * 86400)]
Glob = Annotated[str, StringConstraints(pattern=r"^[a-z0-9+.*?-]{1,100}$")]
Word = Annotated[Severity, Field(strict=False)]


def _zone(name: str) -> str:
    When(timezone=name).check()
    return name


def _every(words: str) -> str:
    When(every=words).check()
    return words


def _cron(line: str) -> str:
    When(cron=line).check()
    return line


class Times(Strict):
    """When: `every` in words, or `cron`."""

    every: Annotated[str, AfterValidator(_every)] | None = Field(
        default=None, description="Such as `day at 02:30`, `6 hours`, `monday at 03:00`. The default: day at 02:30."
    )
    cron: Annotated[str, AfterValidator(_cron)] | None = Field(
        default=None, description="Minute, hour, day, month, weekday."
    )
    timezone: Annotated[str, AfterValidator(_zone)] | None = Field(default=None, description="The default is UTC.")
    jitter: Annotated[Duration, Field(le=MAX_JITTER)] | None = Field(
        default=None, description="At most so much later, so that not every fleet asks in the same minute."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "Times":
        if self.every is not None and self.cron is not None:
            raise ValueError("either `every` or `cron` is expected")
        return self

    def when(self, other: When = DAILY) -> When:
        """`other` has what is not said."""
        said = {"every": self.every or "", "cron": self.cron or ""} if self.every or self.cron else {}
        return When(
            every=said.get("every", other.every),
            cron=said.get("cron", other.cron),
            timezone=self.timezone or other.timezone,
            jitter=other.jitter if self.jitter is None else self.jitter,
        )


class PackageRules(Strict):
    """Globs of source packages: what is allowed to move, and of that what stays."""

    allow: tuple[Glob, ...] = Field(default=("*",), min_length=1, max_length=200)
    leave: tuple[Glob, ...] = Field(default=(), max_length=200)


class SecurityRules(Times):
    """Updates that are looked for, and proposed as commits that touch packages.lock files and images.lock alone."""

    severities: tuple[Word, ...] = Field(default=(), description="Only updates that fix one of these; none: all.")
    packages: PackageRules = PackageRules()
    kernel: Times | None = Field(default=None, description="A schedule of its own for the kernel's packages.")
    how: Annotated[How, Field(strict=False)] = How.pull_request
    group: Annotated[Grouping, Field(strict=False)] = Grouping.source
    soak: dict[Word, Duration] = Field(default_factory=dict, description="How long an update waits, by severity.")
    merge: tuple[Word, ...] = Field(default=(), description="With `how: pull-request`: merged by the controller.")

    @model_validator(mode="after")
    def _agree(self) -> "SecurityRules":
        if self.merge and self.how is not How.pull_request:
            raise ValueError("`merge` goes with `how: pull-request`")
        if self.kernel and not (self.kernel.every or self.kernel.cron):
            raise ValueError("`kernel` needs `every` or `cron`")
        return self

    def patching(self) -> Patching:
        """The noun."""
        when = self.when()
        return Patching(
            severities=self.severities,
            allow=self.packages.allow,
            leave=self.packages.leave,
            when=when,
            kernel=self.kernel.when(when) if self.kernel else None,
            how=self.how,
            group=self.group,
            soak=tuple(self.soak.items()),
            merge=self.merge,
        )

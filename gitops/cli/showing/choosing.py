"""The options that say which boxes are meant, and what follows from them for `gitops.rollout.choosing`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from gitops.errors import TowerosError
from gitops.model import Health, Sync

RoleOption = Annotated[list[str] | None, typer.Option("--role", help="Of this role; repeat it.")]
SiteOption = Annotated[list[str] | None, typer.Option("--site", help="At this site; repeat it.")]
LabelOption = Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="With this label.")]
RevisionOption = Annotated[
    list[str] | None, typer.Option("--revision", help="That run, or are to run, it: a tag, or 7 letters of a commit.")
]
HealthOption = Annotated[list[Health] | None, typer.Option("--health", case_sensitive=False, help="As HEALTH says.")]
SyncOption = Annotated[list[Sync] | None, typer.Option("--sync", case_sensitive=False, help="As SYNC says.")]
AgentOption = Annotated[list[str] | None, typer.Option("--agent", help="Whose agent says that it is this one.")]
KernelOption = Annotated[list[str] | None, typer.Option("--kernel", help="Whose kernel is this one.")]
HeldOption = Annotated[bool, typer.Option("--held", help="That are held, or wait.")]
SilentOption = Annotated[bool, typer.Option("--silent", help="That are Missing or Late, or were never heard.")]
TroubleOption = Annotated[bool, typer.Option("--trouble", help="That somebody must look at; SAYS has why.")]
TextOption = Annotated[str, typer.Option("--text", help="In whose row, role, site or labels this stands.")]


def labels(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """KEY=VALUE each. Raises TowerosError: one is none."""
    pairs = [word.partition("=") for word in words]
    if wrong := next((word for word, (name, equals, _) in zip(words, pairs, strict=True) if not (name and equals)), ""):
        raise TowerosError(f"--label {wrong[:60]}: KEY=VALUE is expected", hint="such as --label region=north")
    return tuple((name, value) for name, _, value in pairs)

"""The verbs in the order of an operator's day: what `toweros --help` shows.

In: every verb of the command. Out: their order, and the heading that each stands below. Rules: each verb once; one that
nobody put anywhere comes last, below a heading of its own, and a test sees it.

    app = typer.Typer(cls=ByDay)
    arrange(app)        # once every verb is registered
"""

from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Look": ("status", "events", "logs", "rollout", "scan", "security", "sbom", "verify", "rebuild", "audit"),
    "Hold, let go, take back": ("suspend", "resume", "retry", "rollback"),
    "The fleet repo": ("init", "validate", "plan", "forecast", "get", "lock", "inputs", "upgrade"),
    "Machines, media, sites": ("box", "image", "bundle", "noc"),
    "Keys and people": ("keys", "people", "tokens"),
    "The controller": (
        "doctor", "run", "server", "apply", "backup", "restore", "store", "cache", "notify", "completion", "docs",
        "version",
    ),
    "Develop, and try out": ("demo", "vm", "build", "assemble", "pkg", "schema", "openapi"),
}  # fmt: skip
"""Heading -> verbs, both in the order in which they are shown."""
OTHERS = "Others"
HEADINGS = {verb: heading for heading, verbs in GROUPS.items() for verb in verbs}


class ByDay(TyperGroup):
    """Lists its verbs as `GROUPS` does."""

    def list_commands(self, ctx: Any) -> list[str]:
        ordered = [verb for verb in HEADINGS if verb in self.commands]
        return [*ordered, *sorted(self.commands.keys() - HEADINGS.keys())]


def arrange(app: typer.Typer) -> None:
    """Put each verb below its heading."""
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        command.rich_help_panel = HEADINGS.get(name, OTHERS)
    for group in app.registered_groups:
        group.rich_help_panel = HEADINGS.get(str(group.name), OTHERS)

"""`toweros store`: from one database to another."""

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.errors import SettingsError
from gitops.store import Store


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The controller's database.", no_args_is_help=True)
    group.callback()(_group)
    group.command()(copy)
    app.add_typer(group, name="store")


def _group() -> None:
    """The controller's database: `toweros store copy`."""


def copy(config: ConfigOption = None, state: StateOption = None) -> None:
    """Copy the state folder's SQLite database into the empty one that `database` names."""
    settings = context.settings(config, state)
    if not settings.database_url():
        raise SettingsError("`database` names none to copy to", hint="see docs/operations.md, Store")
    old, new = Store.open(settings.state, migrate=True), Store.of(settings)
    with old.lease.held():
        old.copy_to(new)
    talk.print(f"copied; {old.paths.database} is not used any more")

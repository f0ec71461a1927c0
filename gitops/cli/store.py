"""`toweros store copy`: from SQLite to PostgreSQL."""

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import audited
from gitops.cli.context import ConfigOption, StateOption
from gitops.errors import StoreError
from gitops.store import Store
from gitops.store.files.layout import Layout


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The controller's database.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command()(audited("store.copy")(copy))
    app.add_typer(group, name="store")


def copy(config: ConfigOption = None, state: StateOption = None) -> None:
    """Copy the state folder's SQLite database into the empty one that `database` names."""
    settings = context.settings(config, state)
    if not Layout(settings.state).database.is_file():
        raise StoreError(f"{settings.state}: no state here", hint="name the controller's own with --state or --config")
    Store.open(settings.state, migrate=True).copy_to(Store.of(settings))

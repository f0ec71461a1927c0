"""What most verbs need: the settings, the store, the fleet repo's folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.errors import SourceError, StoreError

if TYPE_CHECKING:
    from gitops.settings import Settings
    from gitops.store import Store

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="toweros.toml (default: ./ or /etc/toweros/).")
]
StateOption = Annotated[Path | None, typer.Option("--state", help="The controller's state folder.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The box's name, as in boxes/NAME.yaml.")]
DirOption = Annotated[Path, typer.Option("--dir", "-C", help="A working folder of the fleet repo.")]

ReleaseArgument = Annotated[str, typer.Argument(metavar="BOX|RELEASE", help="A box, or a release by its SHA-256.")]
FilesOption = Annotated[
    Path | None,
    typer.Option("--files", help="The published files: a state folder, or a copy of its repo/, blobs/, layers/."),
]
PublicKeysOption = Annotated[
    Path | None,
    typer.Option("--keys", help="Public keys as in a fleet repo's keys/ (default: what the settings name)."),
]


def settings(config: Path | None = None, state: Path | None = None) -> "Settings":
    from gitops.settings import load  # takes long to load

    return load(config, state=state)


def controllers(config: Path | None = None, state: Path | None = None) -> "Settings":
    """Of a controller that is about to work: asked before anything listens, is locked or is made.

    Raises:
        SourceError: they name no fleet repo.
    """
    asked = settings(config, state)
    if not asked.repository:
        where = "--config FILE, ./toweros.toml or /etc/toweros/toweros.toml"
        raise SourceError("no fleet repo is named", hint=f"set `repository` in toweros.toml ({where})")
    return asked


def store(config: Path | None = None, state: Path | None = None) -> "Store":
    """A store, made if there is none yet: for verbs that bring something into it."""
    from gitops.store import Store  # takes long to load, and not every verb has one

    return Store.of(settings(config, state))


def known_store(config: Path | None = None, state: Path | None = None) -> "Store":
    """The one that a controller made: for verbs that say or change what is known, of which there is nothing before.

    Raises:
        StoreError: there is none.
    """
    asked = settings(config, state)
    if (found := existing_store(asked)) is None:
        hint = "name the controller's own with --state or --config; `toweros run` and `toweros apply` make one"
        raise StoreError(f"{asked.state}: no state here", hint=hint)
    return found


def existing_store(settings: "Settings") -> "Store | None":
    """The store, unless there is none yet: none is made."""
    if not (settings.database or settings.database_file or settings.state.is_dir()):
        return None
    from gitops.store import Store
    from gitops.store.database import database_url
    from gitops.store.files.layout import Layout

    return Store.of(settings) if database_url(settings) or Layout(settings.state).database.is_file() else None


def assembling(settings: "Settings", *, asked: bool) -> Path:
    """Where assemblies are remembered: the state folder, or the user's cache where that is none of theirs."""
    if asked or (settings.state.is_dir() and os.access(settings.state, os.W_OK)):
        return settings.state
    return users_cache()


def users_cache() -> Path:
    """A folder of the user's own for what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "toweros")

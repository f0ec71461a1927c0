"""`toweros inputs export`, `inputs import`: locked files as plain files, for places without mirrors and for later."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, DirOption, StateOption
from gitops.cli.output import talk
from gitops.errors import BuildError, Problem

DirArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Holds, or will hold, files sha256/HEX.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Locked files: out of the store, into it.", no_args_is_help=True)
    group.command("export")(export)
    group.command("import")(import_)
    app.add_typer(group, name="inputs")


def export(
    target: DirArgument,
    packages: Annotated[list[str] | None, typer.Argument(help="Paths such as pkg/sshd; none: all.")] = None,
    folder: DirOption = Path(),
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write the locked files of packages into a folder, fetching those that the store lacks. Again: what is missing."""
    from gitops.builders.files.carry import export_inputs
    from gitops.builders.inputs import fetch_all
    from gitops.builders.places import Places
    from gitops.fleet.packages import load_packages
    from gitops.source.working_folder import packages_in

    problems: list[Problem] = []
    known = load_packages(packages_in(folder), 1, "linux/amd64", problems)
    names = [name.rstrip("/") for name in packages] if packages else list(known)
    if unknown := [name for name in names if name not in known]:
        raise BuildError(f"there is no package {', '.join(unknown)}", hint=f"known: {', '.join(known)}")
    wanted, store = [known[name] for name in names], context.store(config, state)
    fetch_all(store, wanted, Places.by(context.settings(config, state)))
    done = export_inputs(store, wanted, target)
    talk.print(f"{done.new} files written, {done.there} were there")


def import_(source: DirArgument, config: ConfigOption = None, state: StateOption = None) -> None:
    """Take the files of a folder into the store; each must be what its name says."""
    from gitops.builders.files.carry import import_inputs, offered

    offered(source)  # before a state folder is made for nothing
    done = import_inputs(context.store(config, state), source)
    talk.print(f"{done.new} files taken, {done.there} were there")
    if done.refused:
        listing = "\n".join(f"  sha256/{name}" for name in done.refused)
        raise BuildError(
            f"not what their names say, or not to be read, and not taken:\n{listing}", hint="export them again"
        )

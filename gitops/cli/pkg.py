"""`toweros pkg show-tag PATH`: the tag of a package, as `linuxkit pkg show-tag` prints it."""

from pathlib import Path

import typer

from gitops.cli.context import DirOption
from gitops.errors import BuildError, FleetError, Problem
from gitops.fleet.packages import load_packages
from gitops.fleet.schema import did_you_mean
from gitops.source import FolderTree


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Look at packages.", no_args_is_help=True)
    group.callback()(_group)
    group.command("show-tag")(show_tag)
    app.add_typer(group, name="pkg")


def _group() -> None:
    """Look at packages: `toweros pkg show-tag PATH`."""


def show_tag(path: str, folder: DirOption = Path()) -> None:
    """Print ORG/IMAGE:HASH of a package, such as pkg/sshd."""
    problems: list[Problem] = []
    packages = load_packages(FolderTree(folder), 1, "linux/amd64", problems)
    name = path.strip("/").removeprefix("./")
    own = [problem for problem in problems if problem.file.startswith(f"{name}/")]
    if own:
        raise FleetError(own)
    if name not in packages:
        raise BuildError(f"there is no package {name}", hint=did_you_mean(name, list(packages)))
    typer.echo(packages[name].tag)

"""`toweros build`: build packages of a working folder, for a look."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gitops.builders import builder_of
from gitops.cli import context
from gitops.cli.context import ConfigOption, DirOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.errors import BuildError, FleetError, Problem
from gitops.fleet.packages import load_packages
from gitops.model import Package
from gitops.source.working_folder import packages_in
from gitops.workflows.security.inventories import Inventories

HERE = Path()


def register(app: typer.Typer) -> None:
    app.command()(build)


def build(
    packages: Annotated[list[str] | None, typer.Argument(help="Paths such as pkg/sshd; none: all.")] = None,
    folder: DirOption = HERE,
    prune: Annotated[bool, typer.Option("--prune", help="Forget the images of packages that are not here.")] = False,
    output: OutputOption = Output.table,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Build packages (with those that they stand on) from a working folder."""
    tree, problems = packages_in(folder), list[Problem]()
    known = load_packages(tree, 1, "linux/amd64", problems)
    wanted = [name.rstrip("/") for name in packages] if packages else list(known)
    _check(wanted, known, problems)
    store = context.store(config, state)
    builder, rows = builder_of(context.settings(config, state), store), []
    inside = Inventories(store, known)
    with store.lease.held():
        for path in wanted:
            start = time.monotonic()
            talk.print(f"building {path}")
            image = builder.build(known[path], tree, known)
            inside.of_package(path)
            seconds = round(time.monotonic() - start, 1)
            rows.append({"package": path, "tag": image.reference, "layers": list(image.layers), "seconds": seconds})
        if prune:
            builder.prune(known.values())
    shown = [[str(row["package"]), str(len(row["layers"])), f"{row['seconds']} s"] for row in rows]  # type: ignore[arg-type]
    emit(rows, output, lambda: table(["PACKAGE", "LAYERS", "TOOK"], shown))


def _check(wanted: list[str], known: dict[str, Package], problems: list[Problem]) -> None:
    """Mistakes of other packages than those that are wanted are for `toweros validate`."""
    needed, todo = set[str](), list(wanted)
    while todo:
        path = todo.pop()
        needed.add(path)
        todo += [sibling for sibling in known[path].depends if sibling not in needed] if path in known else []
    wrong = [problem for problem in problems if problem.file.rpartition("/")[0] in needed]
    if wrong:
        raise FleetError(wrong)
    unknown = sorted(needed - set(known))
    if unknown:
        raise BuildError(f"there is no package {', '.join(unknown)}", hint=f"known: {', '.join(known)}")

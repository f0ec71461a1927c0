"""`toweros rebuild --check BOX|RELEASE`: a release built again from its commit, digest against digest."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, FilesOption, PublicKeysOption, ReleaseArgument, StateOption
from gitops.cli.output import Output, OutputOption, coloured, emit, table, talk
from gitops.cli.showing.sheet import Cell
from gitops.errors import SettingsError, TowerosError

HINT = "one of the two builds is not of this commit and its locks: build it on a third machine, and look who is alone"


def register(app: typer.Typer) -> None:
    app.command()(rebuild)


def rebuild(
    name: ReleaseArgument,
    check: Annotated[bool, typer.Option("--check", help="Compare; nothing of it is kept or published.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", "-C", help="A clone of the fleet repo (default: the controller's own).")
    ] = None,
    files: FilesOption = None,
    keys: PublicKeysOption = None,
    scratch: Annotated[
        Path | None, typer.Option(help="Where to build; gigabytes, gone afterwards (default: the state folder).")
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Build a release again from the commit in its provenance, in a clean store, and compare every digest."""
    from gitops.source.clone.commits import LocalClone  # with python-tuf, these take long to load
    from gitops.store.files.layout import Layout
    from gitops.workflows.provenance.rebuild import SecondWitness, builders_of

    if not check:
        raise SettingsError("a release is built again only to compare it", hint="pass --check")
    settings = context.settings(config, state)
    place = scratch or (settings.state if settings.state.is_dir() else None)
    clone = LocalClone(folder or Layout(settings.state).source / "clone.git")
    witness = SecondWitness(settings, files or settings.state, builders_of(keys or settings.keys), clone)
    named = witness.find(name)
    claim = witness.claim(named)
    believed = f"commit {claim.commit}, server {claim.asked['server']}"
    if not named.offered:
        believed += ", and which boot files these are: nobody is offered this release"
    talk.print(f"its provenance is believed for this: {believed}")
    talk.print(f"building {name} again; this takes as long as its first build")
    found = witness.rebuild(named, place)
    words = {True: coloured("same", "green"), False: coloured("DIFFERS", "red")}
    rows: list[list[Cell]] = [
        [each.part, words[each.same], each.published, "" if each.same else each.rebuilt] for each in found
    ]
    values = [asdict(each) | {"same": each.same} for each in found]
    emit(values, output, lambda: table(["PART", "", "PUBLISHED", "BUILT AGAIN"], rows))
    if different := [each.part for each in found if not each.same]:
        raise TowerosError(f"{name}: {len(different)} of {len(found)} parts differ: {', '.join(different)}", hint=HINT)

"""`toweros upgrade`: a newer TowerOS comes into a fleet repo."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.cli.context import DirOption
from gitops.cli.output import talk
from gitops.errors import FleetError
from gitops.source.upgrade import Upgraded
from gitops.source.upgrade import upgrade as merge
from gitops.source.working_folder import require
from gitops.workflows.upgrade import older, touched

FAILED = 1


def register(app: typer.Typer) -> None:
    app.command()(upgrade)


def upgrade(
    version: Annotated[str, typer.Option("--to", metavar="VERSION", help="A release; else what is installed.")] = "",
    sign: Annotated[bool, typer.Option("--sign", "-S", help="Sign the commit, as `git commit -S`.")] = False,
    folder: DirOption = Path(),
) -> None:
    """Merge boot/ and pkg/ of this TowerOS into the fleet repo: one commit, your own changes kept."""
    require(folder)
    done = merge(folder, version, sign=sign)
    if done is None:
        talk.print("nothing to do: boot/ and pkg/ came from this version")
        return
    talk.print(f"TowerOS {done.old} -> {done.new} changes {', '.join(done.changed) or 'no file'}")
    for lock in done.kept:
        package = lock.rpartition("/")[0]
        talk.print(f"{lock}: both sides changed it, yours stays; `toweros lock {package}` takes what is newest")
    if done.conflicts:
        _tell_conflicts(done)
        raise typer.Exit(FAILED)
    talk.print(f"committed {done.commit[:12]}")
    _tell_boxes(folder, done)


def _tell_conflicts(done: Upgraded) -> None:
    for path in done.conflicts:
        talk.say("conflict:", "red", str(path))
    talk.print("next: resolve them, `git add` each, `toweros validate`, then `git cherry-pick --continue`")
    talk.print("or `git cherry-pick --abort`: everything is as before")


def _tell_boxes(folder: Path, done: Upgraded) -> None:
    try:
        boxes, fallen = touched(folder, done), older(folder, done)
    except FleetError as error:
        talk.say("the fleet repo has mistakes:", "yellow", f"{len(error.problems)}; see `toweros validate`")
        return
    talk.print(f"boxes that get another release: {', '.join(boxes) or 'none'}")
    look = f"toweros plan -C {folder} --base HEAD^ --head HEAD"
    talk.print(f"look at it with `{look}`; deploy it with `git push`")
    if fallen:
        talk.say("older", "red", "than what the fleet repo had:")
        for row in fallen:
            talk.print(f"  {row}")
        names = " ".join(dict.fromkeys(row.partition(":")[0] for row in fallen))
        talk.print(f"next: `toweros lock {names}` and a commit, before you push: these may be fixes that you have")
        raise typer.Exit(FAILED)

"""`toweros rollback [REV]`: one commit that brings the files of an older one back."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.cli.context import DirOption
from gitops.cli.output import talk
from gitops.source.rollback import roll_back
from gitops.source.working_folder import require


def register(app: typer.Typer) -> None:
    app.command()(rollback)


def rollback(
    revision: Annotated[str, typer.Argument(metavar="[REV]", help="The commit or tag to go back to.")] = "HEAD^",
    sign: Annotated[bool, typer.Option("--sign", "-S", help="Sign the commit, as `git commit -S`.")] = False,
    folder: DirOption = Path(),
) -> None:
    """Commit the files of an older revision on top of this branch; push it as any other change."""
    if not (folder / ".git").exists():
        require(folder)
    rolled = roll_back(folder, revision, sign=sign)
    talk.print(f"committed {rolled.commit}: the files of {rolled.old[:12]}")
    look = f"toweros plan -C {folder} --base HEAD^ --head HEAD"
    talk.print(f"look at it with `{look}`; deploy it with `git push` (or a higher tag)")

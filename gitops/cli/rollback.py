"""`toweros rollback [REV]`: one commit that brings the files of an older one back.

The history goes on: nothing is rewritten, so the controller takes it as any other commit. What says whom to trust stays
as it is now (`keys/`, and fleet.yaml where its `source:` differs): the controller refuses a policy that was replaced.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli.context import DirOption
from gitops.cli.output import talk
from gitops.errors import ProcessError, TowerosError
from gitops.fleet import load_policy
from gitops.process import run
from gitops.source.clone.commits import LocalClone
from gitops.source.trust.rules import source_part

KEYS, FLEET = "keys", "fleet.yaml"
SIGNING = ("SSH_AUTH_SOCK", "GNUPGHOME", "GPG_TTY", "XDG_CONFIG_HOME")
"""What Git's own signing reads from the environment."""


def register(app: typer.Typer) -> None:
    app.command()(rollback)


def rollback(
    revision: Annotated[str, typer.Argument(metavar="[REV]", help="The commit or tag to go back to.")] = "HEAD^",
    sign: Annotated[bool, typer.Option("--sign", "-S", help="Sign the commit, as `git commit -S`.")] = False,
    folder: DirOption = Path(),
) -> None:
    """Commit the files of an older revision on top of this branch; push it as any other change."""
    if _git(folder, "status", "--porcelain", "--untracked-files=no"):
        raise TowerosError(f"{folder} has changes that are not committed", hint="commit them, or `git stash`")
    try:
        old = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except ProcessError as error:
        raise TowerosError(f"there is no revision {revision} here", hint="`git log --oneline` lists them") from error
    head, kept = _git(folder, "rev-parse", "HEAD"), _kept(folder, old)
    _restore(folder, old)
    for path in kept:
        _restore(folder, head, path)
    if not _git(folder, "status", "--porcelain", "--untracked-files=no"):
        raise TowerosError(f"the files are those of {revision} already", hint="name an older revision")
    subject = _git(folder, "show", "--no-patch", "--format=%s", old)
    message = f"Roll back to {old[:12]}: {subject}\n\nThe files are those of {old}"
    message += f", but for {' and '.join(kept)}, which stay.\n" if kept else ".\n"
    try:
        _git(folder, "commit", "--quiet", "--message", message, *(["--gpg-sign"] if sign else []))
    except ProcessError:
        _restore(folder, head)
        raise
    talk.print(f"committed {_git(folder, 'rev-parse', '--short', 'HEAD')}: the files of {old[:12]}")
    look = f"toweros plan -C {folder} --base HEAD^ --head HEAD"
    talk.print(f"look at it with `{look}`; deploy it with `git push` (or a higher tag)")


def _kept(folder: Path, old: str) -> list[str]:
    """What says whom to trust, where the old revision says it in another way."""
    clone = LocalClone(folder)
    before, now = (load_policy(clone.tree(clone.revision(name))) for name in (old, "HEAD"))
    kept = [FLEET] if source_part(before) != source_part(now) else []
    changed = _git(folder, "diff", "--name-only", old, "HEAD", "--", KEYS)
    return [*kept, KEYS] if changed else kept


def _restore(folder: Path, revision: str, path: str = "") -> None:
    """Index and files below `path` as in a revision; what it has not is removed."""
    _git(folder, "restore", f"--source={revision}", "--staged", "--worktree", "--", f":/{path}")


def _git(folder: Path, *words: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name in SIGNING or name.startswith("GIT_")}
    return run(["git", "-C", folder, *words], env=kept, hint="run it in a clone of the fleet repo").decode().strip()

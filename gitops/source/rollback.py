"""One commit that brings the files of an older revision back.

In: a clean working clone, a revision. Out: a new commit on the same branch. Rules: the history goes on, nothing is
rewritten, so the controller takes it as any other commit; what says whom to trust stays as it is now (`keys/`, and
fleet.yaml where its `source:` differs), because the controller refuses a policy that was replaced.

    rolled = roll_back(Path("fleet"), "HEAD^", sign=True)
    rolled.commit, rolled.old
"""

import os
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import ProcessError, TowerosError
from gitops.fleet import load_policy
from gitops.process import run
from gitops.source.clone.commits import LocalClone
from gitops.source.trust.rules import source_part

KEYS, FLEET = "keys", "fleet.yaml"
SIGNING = ("SSH_AUTH_SOCK", "GNUPGHOME", "GPG_TTY", "XDG_CONFIG_HOME")
"""What Git's own signing reads from the environment."""


@dataclass(frozen=True)
class RolledBack:
    """The new commit (as short as Git prints it), and the one (whole) whose files it has."""

    commit: str
    old: str


def roll_back(folder: Path, revision: str, *, sign: bool = False) -> RolledBack:
    """Commit the files of an older revision on top of the branch that is checked out.

    Raises:
        TowerosError: something is not committed, there is no such revision, or nothing would change.
    """
    if _changes(folder):
        raise TowerosError(f"{folder} has changes that are not committed", hint="commit them, or `git stash`")
    try:
        old = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except ProcessError as error:
        raise TowerosError(f"there is no revision {revision} here", hint="`git log --oneline` lists them") from error
    head, stays = _git(folder, "rev-parse", "HEAD"), _stays(folder, old)
    _restore(folder, old)
    for path in stays:
        _restore(folder, head, path)
    if not _changes(folder):
        raise TowerosError(f"the files are those of {revision} already", hint="name an older revision")
    try:
        _git(folder, "commit", "--quiet", "--message", _message(folder, old, stays), *(["--gpg-sign"] if sign else []))
    except ProcessError:
        _restore(folder, head)
        raise
    return RolledBack(_git(folder, "rev-parse", "--short", "HEAD"), old)


def _changes(folder: Path) -> str:
    return _git(folder, "status", "--porcelain", "--untracked-files=no")


def _message(folder: Path, old: str, stays: list[str]) -> str:
    subject = _git(folder, "show", "--no-patch", "--format=%s", old)
    ending = f", but for {' and '.join(stays)}, which stay.\n" if stays else ".\n"
    return f"Roll back to {old[:12]}: {subject}\n\nThe files are those of {old}{ending}"


def _stays(folder: Path, old: str) -> list[str]:
    """What says whom to trust, where the old revision says it in another way."""
    clone = LocalClone(folder)
    before, now = (load_policy(clone.tree(clone.revision(name))) for name in (old, "HEAD"))
    stays = [FLEET] if source_part(before) != source_part(now) else []
    changed = _git(folder, "diff", "--name-only", old, "HEAD", "--", KEYS)
    return [*stays, KEYS] if changed else stays


def _restore(folder: Path, revision: str, path: str = "") -> None:
    """Index and files below `path` as in a revision; what it has not is removed."""
    _git(folder, "restore", f"--source={revision}", "--staged", "--worktree", "--", f":/{path}")


def _git(folder: Path, *words: str) -> str:
    passed = {name: value for name, value in os.environ.items() if name in SIGNING or name.startswith("GIT_")}
    return run(["git", "-C", folder, *words], env=passed, hint="run it in a clone of the fleet repo").decode().strip()

"""A machine gets a name, or its end: one commit in a working folder of the fleet repo, with boxes/NAME.yaml and the
machine's key.

In: the folder, the machine's key, what the box shall be called. Out: a commit on the branch that is checked out, which
nobody pushed. Rules: only that file is in the commit, whatever else is changed in the folder; a fleet repo with
mistakes gets none, and is as it was before; of a file that there is, `hardware:` (or `wipe:`) alone is written
again, which ends that the machine of before may be this box: so it needs a word.

    adopt(Path("fleet"), Adopted("site-9", key, role="vm", labels={"region": "north"}))
    order_wipe(Path("fleet"), "site-9", Wipe(key, "ada: sold"))
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gitops.errors import ProcessError, TowerosError
from gitops.fleet import load_fleet
from gitops.fleet.schema import NAME
from gitops.model.machines.newcomer import Hardware, code
from gitops.model.machines.wiping import Wipe
from gitops.process import run
from gitops.source.rollback import SIGNING
from gitops.source.working_folder import fleet_in


@dataclass(frozen=True)
class Adopted:
    """What a machine with `key` (hex) shall be. `replace`: though there is such a box."""

    name: str
    key: str
    role: str
    labels: Mapping[str, str] = field(default_factory=dict)
    replace: bool = False


def adopt(folder: Path, wanted: Adopted, *, sign: bool = False) -> str:
    """Write, check and commit; the new commit, as short as Git prints it.

    Raises:
        TowerosError: the name is none, is taken, or the fleet repo would have mistakes. Nothing is changed then.
    """
    path, old = _file(folder, wanted.name)
    text = new_file(wanted) if old is None else _again(path, old, wanted)
    words = f"boxes/{wanted.name}: the machine {code(wanted.key)}"
    return _commit(folder, (path, old), text, words, lambda: _check(folder, wanted), sign=sign)


def order_wipe(folder: Path, name: str, wipe: Wipe, *, sign: bool = False) -> str:
    """Write `wipe:`, check and commit; the new commit, as short as Git prints it.

    Raises:
        TowerosError: there is no such box here, or the fleet repo would have mistakes. Nothing is changed then.
    """
    path, old = _file(folder, name)
    if old is None:
        raise TowerosError(f"there is no {path}", hint="an order reaches a box that the fleet repo has")
    text = _without(old, "wipe") + f"wipe:\n  key: {_quoted(wipe.key)}\n  why: {_quoted(wipe.why)}\n"
    if text.encode() == old:
        raise TowerosError(f"{path} orders that already", hint="`git push` brings it to the controller")

    def check() -> None:
        if load_fleet(fleet_in(folder)).boxes[name].wipe != wipe:
            raise TowerosError(f"{path} cannot be written by itself", hint="write `wipe:` by hand")

    return _commit(folder, (path, old), text, f"boxes/{name}: wiped", check, sign=sign)


def _file(folder: Path, name: str) -> tuple[str, bytes | None]:
    """Where a box's file is, and what it says; None: there is none."""
    if not re.fullmatch(NAME, name):
        hint = "lower-case letters, digits and, between them, `-`, 63 at most"
        raise TowerosError(f"{name!r} is no name that a box can have", hint=hint)
    tree = fleet_in(folder)
    path = f"boxes/{name}.yaml"
    if (folder / path).resolve() != folder.resolve() / path:
        raise TowerosError(f"{path} leads elsewhere: it is a link, or below one", hint="make it a file of its own")
    return path, tree.read(path) if path in tree.entries() else None


def _commit(
    folder: Path, file: tuple[str, bytes | None], text: str, words: str, check: Callable[[], None], *, sign: bool
) -> str:
    """One file (where it is, and what it says now), checked. What it was comes back when it may not be so."""
    path, old = file
    if _git(folder, "status", "--porcelain", "--", path):
        raise TowerosError(f"{path} has changes that are not committed", hint="commit them, or `git stash`")
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text(text)
    try:
        check()
        _git(folder, "add", "--", path)
        _git(folder, "commit", "--quiet", "--message", words, *(["--gpg-sign"] if sign else []), "--", path)
    except Exception:
        _put_back(folder, path, old)
        raise
    return _git(folder, "rev-parse", "--short", "HEAD")


def push(folder: Path) -> None:
    """Offer the commit to the remote that the branch follows. Raises `TowerosError`."""
    _git(folder, "push", "--quiet")


def new_file(wanted: Adopted) -> str:
    """What a new box's file says."""
    lines = [f"role: {wanted.role}"]
    lines += ["labels:"] * bool(wanted.labels)
    lines += [f"  {name}: {_quoted(value)}" for name, value in wanted.labels.items()]
    return "\n".join(lines) + "\n" + _hardware(wanted.key)


def _again(path: str, old: bytes, wanted: Adopted) -> str:
    """The file of a box that there is, with another machine."""
    if not wanted.replace:
        hint = "choose another name; or pass --replace: this machine takes the place of that box's own"
        raise TowerosError(f"there is a {path} already", hint=hint)
    if wanted.labels:
        raise TowerosError(f"there is a {path} already", hint="leave out --label: its own labels stay")
    return _without(old, "hardware") + _hardware(wanted.key)


def _without(old: bytes, key: str) -> str:
    """The file without one of its keys."""
    kept, inside = list[str](), False
    for line in old.decode(errors="replace").split("\n"):
        inside = line.startswith(f"{key}:") or (inside and (not line.strip() or line[:1] in " \t"))
        kept += [] if inside else [line]
    return "\n".join(kept).rstrip("\n") + "\n"


def _hardware(key: str) -> str:
    return f"hardware:\n  key: {_quoted(key)}\n"


def _quoted(text: str) -> str:
    """As YAML takes every text: in JSON's way."""
    return json.dumps(text, ensure_ascii=False)


def _check(folder: Path, wanted: Adopted) -> None:
    """Raises FleetError, with every mistake."""
    box = load_fleet(fleet_in(folder)).boxes[wanted.name]
    if wanted.role and box.role != wanted.role:
        hint = f"change boxes/{wanted.name}.yaml, or leave out --role"
        raise TowerosError(f"{wanted.name} has the role {box.role}, not {wanted.role}", hint=hint)
    if box.hardware != Hardware(key=wanted.key):
        raise TowerosError(f"boxes/{wanted.name}.yaml cannot be written by itself", hint="write `hardware:` by hand")


def _put_back(folder: Path, path: str, old: bytes | None) -> None:
    if old is None:
        (folder / path).unlink(missing_ok=True)
    else:
        (folder / path).write_bytes(old)
    with contextlib.suppress(ProcessError):
        _git(folder, "reset", "--quiet", "--", path)


def _git(folder: Path, *words: str) -> str:
    passed = {name: value for name, value in os.environ.items() if name in SIGNING or name.startswith("GIT_")}
    return run(["git", "-C", folder, *words], env=passed, hint="run it in a clone of the fleet repo").decode().strip()

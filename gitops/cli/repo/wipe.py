"""`toweros box wipe`: the commit that ends one machine: its keys, its data, and what starts it."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, DirOption, StateOption
from gitops.cli.output import printable, talk
from gitops.cli.rollout.retry import WhoOption
from gitops.cli.showing.asking import DryOption, would
from gitops.errors import TowerosError
from gitops.model.machines.newcomer import code
from gitops.model.machines.wiping import Wipe
from gitops.review.words import ago
from gitops.rollout.status import box_status
from gitops.sign.box import public_key
from gitops.store import Store
from gitops.workflows.enrolment import box_file

LOST = "its keys, all data on STATE and what starts it are destroyed, then it is switched off; nothing brings them back"


def wipe(
    name: Annotated[str, typer.Argument(help="The box: one, never a role.")],
    why: Annotated[str, typer.Option("--why", "-m", help="The reason; it stands in Git, and the plan shows it.")],
    key: Annotated[str, typer.Option("--key", help="Of a machine whose key does not count: 64 hex digits.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry: DryOption = False,
    push: Annotated[bool, typer.Option("--push", help="Push the commit, too.")] = False,
    sign: Annotated[bool, typer.Option("--sign", "-S", help="Sign the commit, as `git commit -S`.")] = False,
    who: WhoOption = "operator",
    folder: DirOption = Path(),
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Order that the machine that is this box now destroys itself: one commit in a folder of the fleet repo."""
    why = " ".join(why.split())
    if not why:
        raise TowerosError("a reason is missing", hint="say with --why what becomes of the machine")
    store = context.known_store(config, state)
    wanted = Wipe(public_key(key.encode()) if key else _key(store, name), f"{who}: {why}"[:500])
    if dry:
        return would(f"commit the end of {name}, the machine {code(wanted.key)}: {LOST}")
    if not yes:
        _ask(store, name, wanted)
    commit = box_file.order_wipe(folder, name, wanted, sign=sign)
    talk.print(f"committed {commit}: boxes/{name}.yaml, the machine {code(wanted.key)}")
    if push:
        box_file.push(folder)
        talk.print(f"pushed: as soon as it is deployed and {name} hears of it, it is gone")
    else:
        talk.print(
            f"deploy it with `git push` (or a higher tag): then {name} is gone; `git revert` takes it back before"
        )


def _key(store: Store, name: str) -> str:
    """The key of the box's machine, also one that was revoked: what was stolen is wiped as well."""
    row = store.boxes.row(name)
    if row is None:
        raise TowerosError(f"no machine is {name}: it has no key", hint="`toweros status` lists the boxes")
    return row.public_key


def _ask(store: Store, name: str, wanted: Wipe) -> None:
    """Raises `TowerosError` when the answer is another one."""
    now = int(time.time())
    status = box_status(store, name, now)
    seen = f"{status.health}, heard {ago(status.seen, now)}" if status else "not known"
    talk.print(f"{name} ({seen}), the machine {code(wanted.key)}: {LOST}")
    try:
        answer = typer.prompt(f"Type {name} to order it", default="", show_default=False, err=True)
    except typer.Abort:  # nobody is there
        answer = ""
    if answer != name:
        raise TowerosError(f"nothing is ordered: {printable(answer)!r} is not {name!r}", hint="or pass --yes")

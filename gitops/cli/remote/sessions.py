"""`toweros box logs` and `toweros box shell`: a person comes in to a box through the update server.

In: the controller's settings and keys, a box, a reason. Out: what ssh shows. Rules: ssh(1) talks with the box's own
sshd: the server in between passes on what it cannot read; the box is known by the fleet's host authority alone, and
nothing is asked; key and certificate are for this session, in a folder that is gone afterwards; what becomes of it is
recorded.

    toweros box logs site-7 hello -f --reason "no answer since noon"
    toweros box shell site-7 --reason "the modem hangs"
"""

import shlex
import sys
import tempfile
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import acting
from gitops.cli.context import ConfigOption, NameArgument, StateOption
from gitops.cli.output import talk
from gitops.cli.reaching.events import FollowOption
from gitops.cli.remote import carry
from gitops.cli.rollout.suspend import WhoOption
from gitops.errors import TowerosError
from gitops.model.access.person import Grant, Person, Role
from gitops.model.access.remote import Kind
from gitops.process import attached
from gitops.settings import Settings
from gitops.sign import ssh
from gitops.workflows.question import fleet_of
from gitops.workflows.remote.asking import Asking, Ticket, Wish, ask, ended

ReasonOption = Annotated[str, typer.Option("--reason", "-m", help="Why; it is recorded, here and on the box.")]
ServerOption = Annotated[str, typer.Option("--server", help="The update server (default: the setting `listen`).")]
LinesOption = Annotated[int, typer.Option("--lines", "-n", min=0, max=99_999, help="Of each log, from its end.")]


def logs(
    name: NameArgument,
    reason: ReasonOption,
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="`agent`, a service; none: all.")] = "",
    follow: FollowOption = False,
    lines: LinesOption = 100,
    server: ServerOption = "",
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Logs of a box, through the server: for boxes with `remote: logs` or `shell`."""
    command = [str(lines), *(["-f"] if follow else []), *([service] if service else [])]
    _session(context.settings(config, state), Wish(name, Kind.logs, _person(who), reason), command, server)


def shell(
    name: NameArgument,
    reason: ReasonOption,
    command: Annotated[list[str] | None, typer.Argument(help="What to run there; nothing: a shell.")] = None,
    server: ServerOption = "",
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """A shell on a box, through the server: for boxes with `remote: shell`."""
    _session(context.settings(config, state), Wish(name, Kind.shell, _person(who), reason), command or [], server)


def _person(who: str) -> Person:
    """Whoever has the keys folder may do all that its keys can."""
    return Person(who, (Grant(Role.admin),), how="cli")


def _session(settings: Settings, wish: Wish, command: list[str], server: str) -> None:
    store = context.existing_store(settings)
    if store is None:
        raise TowerosError(
            f"{settings.state}: no state here", hint="name the controller's own with --state or --config"
        )
    fleet = fleet_of(store, None, settings.platform)
    asking = Asking(acting(store, wish.person.name), settings.keys, fleet)
    with tempfile.TemporaryDirectory(prefix="toweros-remote-") as folder:
        place = Path(folder)
        ticket = ask(asking, wish)
        (place / "known_hosts").write_text("\n".join(ssh.lines(settings.keys, [wish.box])) + "\n")
        words = ssh_words(ticket, wish, place, server or _server(settings.listen))
        talk.print(f"{wish.box} looks at the server every {fleet.boxes[wish.box].poll} s; it comes with its next look")
        began, says = time.monotonic(), place / "says"
        code = attached([*words, *command], {carry.TOKEN: ticket.token, carry.SAYS: str(says)})
        carry.End(server or _server(settings.listen), ticket.session, ticket.token).leave(carry.LEFT)
        why = f": {says.read_text()}" if says.exists() else ""
        ended(asking, wish, f"ended after {time.monotonic() - began:.0f} s ({code}){why}", int(time.time()))
    if code:
        raise typer.Exit(1)


def ssh_words(ticket: Ticket, wish: Wish, folder: Path, server: str) -> list[str]:
    """ssh(1) and its options; none of the user's own configuration counts."""
    proxy = shlex.join([sys.executable, "-m", carry.__name__, server, ticket.session]).replace("%", "%%")
    options = [
        f"ProxyCommand={proxy}",
        f"HostKeyAlias={wish.box}",
        f"UserKnownHostsFile={folder / 'known_hosts'}",
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "PreferredAuthentications=publickey",
        "ConnectTimeout=330",
        "ControlPath=none",
        "LogLevel=ERROR",
    ]
    words = [word for option in options for word in ("-o", option)]
    return ["ssh", "-F", "none", *words, "-i", str(ticket.write(folder)), f"root@{wish.box}"]


def _server(listen: str) -> str:
    """The update server as it is reached from its own machine."""
    host, _, port = listen.rpartition(":")
    bare = host.strip("[]")
    try:
        wild = ip_address(bare).is_unspecified
    except ValueError:
        wild = False
    if wild:
        bare = "::1" if ":" in bare else "127.0.0.1"
    return f"http://{f'[{bare}]' if ':' in bare else bare}:{port}"

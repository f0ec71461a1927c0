"""`toweros people`: local accounts, in the controller's store and never in Git.

Passwords come from a prompt or a file, and are in no argument, no log and no output.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import audited
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.cli.people.granting import RoleOption, SiteOption, doubt, grants, told
from gitops.cli.showing.asking import YesOption, sure
from gitops.errors import SettingsError
from gitops.files.named import named

if TYPE_CHECKING:
    from gitops.store import Store
    from gitops.workflows.access.accounts import Accounts

LARGEST = 4096
"""Bytes of a password's file."""
PersonArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name that somebody logs in with.")]
FileOption = Annotated[Path | None, typer.Option("--password-file", help="Holds the password; - is stdin.")]
LAST = "it is the last account: without one, and without a provider, whoever reaches `people_listen` sees all pages"


def register(app: typer.Typer) -> None:
    verbs = typer.Typer(no_args_is_help=True, help="Who may log in at the pages and the API.")
    for verb, name in ((add, "add"), (passwd, "passwd"), (grant, "grant"), (rm, "rm")):
        verbs.command(name)(audited(f"people.{name}", "name", "role", "site", makes=name == "add")(verb))
    verbs.command("list")(list_)
    verbs.command("logout")(audited("people.logout", "name")(logout))
    app.add_typer(verbs, name="people")


def add(
    name: PersonArgument,
    role: RoleOption = None,
    site: SiteOption = None,
    file: FileOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Let somebody log in by a name and a password."""
    store, found = context.store(config, state), grants(role or (), site or ())
    doubt(store, found)
    accounts = _accounts(store)
    accounts.free(name)
    accounts.add(name, _password(file), found)
    talk.print(f"{name} may log in: {told(found)}")


def passwd(
    name: PersonArgument, file: FileOption = None, config: ConfigOption = None, state: StateOption = None
) -> None:
    """Give somebody another password; every session of before ends."""
    accounts = _accounts(context.known_store(config, state))
    accounts.known(name)
    accounts.passwd(name, _password(file))
    talk.print(f"{name} has another password, and is logged out everywhere")


def grant(
    name: PersonArgument,
    role: RoleOption = None,
    site: SiteOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Say anew what somebody may do, from the next request on."""
    store, found = context.known_store(config, state), grants(role or (), site or ())
    doubt(store, found)
    _accounts(store).grant(name, found)
    talk.print(f"{name} may be: {told(found)}")


def list_(config: ConfigOption = None, state: StateOption = None, output: OutputOption = Output.table) -> None:
    """Everybody with an account, and what they may do."""
    found = _accounts(context.known_store(config, state)).all()
    said = {
        name: {"grants": [{"role": str(g.role), "site": g.site} for g in each.grants], "made": each.made,
               "password_changed": each.changed}
        for name, each in sorted(found.items())
    }  # fmt: skip
    rows = [(name, told(each.grants), _day(each.made), _day(each.changed)) for name, each in sorted(found.items())]
    emit({"people": said}, output, lambda: table(["NAME", "MAY", "SINCE", "PASSWORD OF"], rows))


def rm(name: PersonArgument, yes: YesOption = False, config: ConfigOption = None, state: StateOption = None) -> None:
    """Take somebody's account away, with every session."""
    settings = context.settings(config, state)
    accounts = _accounts(context.known_store(config, state))
    accounts.known(name)
    if len(accounts.all()) == 1 and settings.oidc is None:
        sure(LAST, yes)
    accounts.remove(name)
    talk.print(f"{name} cannot log in any more, and is logged out everywhere")


def logout(name: PersonArgument, config: ConfigOption = None, state: StateOption = None) -> None:
    """End every session of somebody, of an account or of a provider."""
    from gitops.workflows.access.sessions import Sessions

    ended = Sessions(context.known_store(config, state)).end_all(name)
    talk.print(f"{ended} session{'' if ended == 1 else 's'} of {name} ended")


def _accounts(store: "Store") -> "Accounts":
    from gitops.workflows.access.accounts import Accounts  # argon2 takes long to load

    return Accounts(store)


def _password(file: Path | None) -> str:
    if file is None:
        said: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return said
    try:
        data = typer.get_binary_stream("stdin").read(LARGEST) if str(file) == "-" else named(file, LARGEST)
        return data.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: the password cannot be read: {type(error).__name__}") from error


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"

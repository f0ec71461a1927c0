"""`toweros tokens`: how programs log in at the API and at /metrics. A token is printed once, and kept as a hash."""

import sys
import time
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import audited
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.cli.people.granting import RoleOption, SiteOption, doubt, grants, told
from gitops.review.words import moment

TokenArgument = Annotated[str, typer.Argument(metavar="NAME", help="What uses it: prometheus, a script.")]
DAYS, LONGEST = 365, 3660


def register(app: typer.Typer) -> None:
    verbs = typer.Typer(no_args_is_help=True, help="Tokens by which programs ask the API.")
    for verb, name in ((add, "add"), (rm, "rm")):
        verbs.command(name)(audited(f"tokens.{name}", "name", "role", "site", "days", makes=name == "add")(verb))
    verbs.command("list")(list_)
    app.add_typer(verbs, name="tokens")


def add(
    name: TokenArgument,
    role: RoleOption = None,
    site: SiteOption = None,
    days: Annotated[int, typer.Option("--days", min=1, max=LONGEST, help="After so many it ends.")] = DAYS,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Make a token, and print it: the only time that anybody sees it."""
    from gitops.workflows.access.tokens import Tokens

    store, found = context.store(config, state), grants(role or (), site or ())
    doubt(store, found)
    token = Tokens(store).add(name, found, days)
    sys.stdout.write(token + "\n")
    talk.print(f"{name}: {told(found)}, for {days} days. Send it as `Authorization: Bearer`; it is shown this once")


def list_(config: ConfigOption = None, state: StateOption = None, output: OutputOption = Output.table) -> None:
    """Every token by its name: what it may, when it ends, and when it was last used (an hour late at most)."""
    from gitops.workflows.access.tokens import Tokens

    found = sorted(Tokens(context.known_store(config, state)).all().values(), key=lambda each: each.name)
    said = [
        {"name": each.name, "grants": [{"role": str(g.role), "site": g.site} for g in each.grants], "made": each.made,
         "until": each.until, "used": each.used}
        for each in found
    ]  # fmt: skip
    ended = time.time()
    rows = [
        (each.name, told(each.grants), moment(each.made), "ended" if each.until <= ended else moment(each.until),
         moment(each.used) if each.used else "never")
        for each in found
    ]  # fmt: skip
    emit({"tokens": said}, output, lambda: table(["NAME", "MAY", "SINCE", "UNTIL", "USED"], rows))


def rm(name: TokenArgument, config: ConfigOption = None, state: StateOption = None) -> None:
    """Take a token away: from now on it is nobody."""
    from gitops.workflows.access.tokens import Tokens

    Tokens(context.known_store(config, state)).remove(name)
    talk.print(f"the token {name} counts no more")

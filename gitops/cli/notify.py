"""`toweros notify test RULE`: whether everybody whom a rule tells can be told."""

import secrets
import time
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.errors import SettingsError
from gitops.model.notifying.rules import Gathered, Occurrence
from gitops.store.notes.notices import Notice, NotifyRules
from gitops.workflows.notifying.sending import SendError, send

verbs = typer.Typer(no_args_is_help=True, help="Who is told of what happens (docs/notifications.md).")


def register(app: typer.Typer) -> None:
    app.add_typer(verbs, name="notify")


@verbs.command()
def test(
    rule: Annotated[str, typer.Argument(help="A rule of `notify:` in fleet.yaml, as of the last pass.")],
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Send a test message to each receiver of a rule, now."""
    settings, now = context.settings(config, state), int(time.time())
    rules = (context.known_store(config, state).notes.get(NotifyRules) or NotifyRules()).rules
    found = next((each for each in rules if each.name == rule), None)
    if found is None:
        known = ", ".join(each.name for each in rules) or "none yet: a pass takes them from Git"
        raise SettingsError(f"there is no rule {rule}", hint=f"the rules of `notify:` in fleet.yaml are: {known}")
    receivers = {each.name: each for each in settings.receivers}
    words = Gathered(now).add([Occurrence("", "", "", "Test", f"the rule {rule} reaches you", False, now)])
    failed = 0
    for name in dict.fromkeys(found.to):
        try:
            if name not in receivers:
                raise SendError("the settings have no such receiver: [[receivers]] in toweros.toml")
            send(receivers[name], Notice(secrets.token_hex(16), name, rule, words, now))
            talk.print(f"{name}: told", soft_wrap=True)
        except SendError as error:
            failed += 1
            talk.say(f"{name}:", "red", error.message)
    if failed:
        raise typer.Exit(1)

"""`toweros backup FILE|DIR`: what cannot be made again, in one file."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import audited
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk


def register(app: typer.Typer) -> None:
    app.command()(audited("backup", "target")(backup))


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="The file; or the folder that it goes into.")],
    everything: Annotated[bool, typer.Option("--everything", help="With all files: nothing is built anew.")] = False,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Though the keys are elsewhere.")] = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write the controller's state into one file, while it works. The keys are not in it."""
    from gitops.workflows.safekeeping.backup import Backup, not_in_it

    settings = context.settings(config, state)
    keys = None if unsigned else settings.keys
    made = Backup(context.known_store(config, state), keys, everything=everything).write(target, int(time.time()))
    size = f"{made.size / 1e6:.1f} MB, {len(made.head.files)} files"
    talk.print(f"{made.file}: {size}, {made.head.revision or 'nothing deployed yet'}")
    for name in made.head.left_out:
        words = f"{name} is missing or damaged; the next pass makes another one"
        talk.say("left out:", "yellow", words)
    secrets = (settings.database_file, settings.ssh_key, settings.git_token_file, settings.forge_token_file,
               settings.hook_secret_file)  # fmt: skip
    talk.print(not_in_it(settings.keys, secrets))

"""`toweros verify BOX|RELEASE`: the whole chain of what a box is offered, offline, line by line."""

from dataclasses import asdict

import typer
from rich.markup import escape

from gitops.cli import context
from gitops.cli.context import ConfigOption, FilesOption, PublicKeysOption, ReleaseArgument, StateOption
from gitops.cli.output import Output, OutputOption, emit, table
from gitops.errors import TowerosError


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    name: ReleaseArgument,
    files: FilesOption = None,
    keys: PublicKeysOption = None,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Check what a box is offered, from the signed commit to the last layer, with public keys and files alone."""
    from gitops.source.trust.signatures import Trust  # with python-tuf, these take long to load
    from gitops.workflows.verify import Believed, Verification

    settings = context.settings(config, state)
    first = Trust.of_files(settings.allowed_signers, settings.openpgp_keys)
    believed = Believed.of_folder(keys) if keys else Believed.of_folder(settings.keys, first)
    findings = Verification(files or settings.state, believed).of(name)
    words = {True: "[green]ok[/green]", False: "[red]FAILED[/red]"}
    rows = [[each.what, words[each.ok], escape(each.says)] for each in findings]
    emit([asdict(each) for each in findings], output, lambda: table(["LINK", "", "SAYS"], rows))
    failed = [each for each in findings if not each.ok]
    if failed:
        hint = "trust none of it until you know why; docs/security.md says what each link proves"
        raise TowerosError(f"{name} does not verify: {len(failed)} of {len(findings)} links", hint=hint)

"""`toweros keys init`, `keys status`, `keys rotate`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.errors import SettingsError
from gitops.sign import keys
from gitops.sign.commits import CommitKey

PassphraseOption = Annotated[Path | None, typer.Option("--passphrase-file", help="Holds the root keys' passphrase.")]
KeysArgument = Annotated[Path | None, typer.Argument(help="The keys folder (default: the setting `keys`).")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The keys that boxes trust.", no_args_is_help=True)
    group.command()(init)
    group.command()(status)
    group.command()(rotate)
    app.add_typer(group, name="keys")


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, never in Git.")],
    root_keys: Annotated[int, typer.Option(help="How many root keys to make.")] = 1,
    threshold: Annotated[int, typer.Option(help="How many of them must sign a new root.")] = 1,
    passphrase_file: PassphraseOption = None,
    public: Annotated[Path | None, typer.Option(help="The fleet repo's keys/: gets the public halves.")] = None,
) -> None:
    """Make all keys: TUF root, targets, snapshot, timestamp; the builder's; Secure Boot PK, KEK, db."""
    keys.init(folder, _passphrase(passphrase_file, new=True), root_keys=root_keys, threshold=threshold, public=public)
    allowed = CommitKey.open(folder).allowed
    talk.print(f"keys are in {folder}; back it up, then take {folder / 'root'} offline (`toweros keys status`)")
    talk.print("for security updates (docs/operations.md), a line of the fleet repo's keys/allowed_signers:")
    talk.print(allowed, soft_wrap=True, markup=False)


def status(folder: KeysArgument = None, config: ConfigOption = None, output: OutputOption = Output.table) -> None:
    """Where every key is, when it ends, what to back up."""
    place = folder or context.settings(config).keys
    rows = keys.status(place, datetime.now(UTC))
    cells = [[row.name, row.kind, row.place, _day(row.expires), row.state, row.backup] for row in rows]
    heads = ["KEY", "KIND", "PLACE", "ENDS", "STATE", "BACK UP"]
    emit([row.as_json() for row in rows], output, lambda: table(heads, cells))
    for sentence in keys.warnings(rows):
        talk.print(f"[yellow]warning:[/yellow] {sentence}")


def rotate(
    role: Annotated[str, typer.Argument(help="root (a new lifetime), targets, snapshot, timestamp or builder.")],
    folder: KeysArgument = None,
    passphrase_file: PassphraseOption = None,
    public: Annotated[Path | None, typer.Option(help="The fleet repo's keys/.")] = None,
    config: ConfigOption = None,
) -> None:
    """Sign a new root that names a new key; boxes learn it by the next refresh. A builder's key needs no root."""
    if role not in ("root", "targets", "snapshot", "timestamp", "builder"):
        raise SettingsError(f"there is no role {role}", hint="root, targets, snapshot, timestamp or builder")
    place = folder or context.settings(config).keys
    if role == "builder":
        _rotate_builder(place, public)
        return
    keys.rotate(place, role, _passphrase(passphrase_file, new=False), datetime.now(UTC))
    if public:
        keys.export(place, public)
    talk.print(f"{role} rotated; the next pass of the controller publishes it")


def _rotate_builder(place: Path, public: Path | None) -> None:
    keys.rotate_builder(place)
    if public:
        keys.export(place, public)
    talk.print("the next releases are signed by the new builder's key, and by the one before it")
    talk.print(
        f"commit {place / keys.BUILDER} as keys/{keys.BUILDER} of the fleet repo: boxes learn of it by a release"
    )


def _passphrase(file: Path | None, *, new: bool) -> bytes:
    if file is None:
        text: str = typer.prompt("Passphrase of the root keys", hide_input=True, confirmation_prompt=new, err=True)
        return text.encode()
    try:
        return file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error


def _day(expires: int) -> str:
    return datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%d") if expires else "-"

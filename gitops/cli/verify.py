"""`toweros verify BOX|RELEASE`: the whole chain of what a box is offered, offline, line by line.

`toweros verify --record`: the record of deployments, of a clone or the controller's own."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, FilesOption, PublicKeysOption, StateOption
from gitops.cli.output import Output, OutputOption, coloured, emit, table
from gitops.cli.showing.sheet import Cell
from gitops.errors import SettingsError, TowerosError
from gitops.settings import Settings

if TYPE_CHECKING:
    from gitops.workflows.verify import Finding


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    name: Annotated[str, typer.Argument(metavar="BOX|RELEASE", help="A box, or a release by its SHA-256.")] = "",
    files: FilesOption = None,
    keys: PublicKeysOption = None,
    record: Annotated[bool, typer.Option("--record", help="Check the record of deployments.")] = False,
    clone: Annotated[
        Path | None, typer.Option("--dir", "-C", help="record: a clone that has it (default: the controller's own).")
    ] = None,
    signers: Annotated[
        Path | None, typer.Option(help="record: what `toweros keys record` printed (default: the controller's keys).")
    ] = None,
    fleet: Annotated[str, typer.Option(help="record: the fleet's GUID, where a clone has several.")] = "",
    seen: Annotated[str, typer.Option(help="record: an entry that was in it earlier, by its name.")] = "",
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Check what a box is offered, from the signed commit to the last layer, with public keys and files alone; or the
    record of deployments."""
    if record == bool(name):
        raise SettingsError("name a box or a release, or say --record", hint="`toweros verify --help`")
    if record:
        _told("the record of deployments", _record(config, state, clone, signers, fleet, seen), output)
    else:
        _told(name, _box(context.settings(config, state), name, files, keys), output)


def _box(settings: Settings, name: str, files: Path | None, keys: Path | None) -> "Sequence[Finding]":
    from gitops.source.trust.signatures import Trust  # with python-tuf, these take long to load
    from gitops.workflows.record.check import recorded
    from gitops.workflows.verify import Believed, Verification

    first = Trust.of_files(settings.allowed_signers, settings.openpgp_keys)
    believed = Believed.of_folder(keys) if keys else Believed.of_folder(settings.keys, first)
    if not files and not keys and (store := context.existing_store(settings)):
        believed = replace(believed, recorded=recorded(store, settings.keys))
    return Verification(files or settings.state, believed).of(name)


def _record(
    config: Path | None, state: Path | None, clone: Path | None, signers: Path | None, fleet: str, seen: str
) -> "Sequence[Finding]":
    from gitops.sign.keys import guid
    from gitops.workflows.record.check import check_clone, check_store

    if clone and signers:
        return check_clone(clone, signers=_read(signers), fleet=fleet, seen=seen)
    settings = context.settings(config, state)
    trusted = _read(signers) if signers else _own(settings)
    if clone:
        return check_clone(clone, signers=trusted, fleet=fleet, seen=seen)
    store = context.existing_store(settings)
    if store is None:
        raise SettingsError(f"{settings.state} is no controller's state", hint="name a clone with -C")
    return check_store(store, signers=trusted, fleet=fleet or guid(settings.keys), seen=seen)


def _own(settings: Settings) -> bytes:
    from gitops.sign.record import key

    if not (settings.keys / key.NAME).is_file():
        hint = "pass --signers FILE: what `toweros keys record` printed on the controller"
        raise SettingsError(f"{settings.keys} has no key of the record", hint=hint)
    return "\n".join(key.lines(settings.keys)).encode()


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(1 << 20)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}", hint="`toweros keys record` prints it") from error


def _told(name: str, findings: "Sequence[Finding]", output: Output) -> None:
    words = {True: coloured("ok", "green"), False: coloured("FAILED", "red")}
    rows: list[list[Cell]] = [[each.what, words[each.ok], each.says] for each in findings]
    emit([asdict(each) for each in findings], output, lambda: table(["LINK", "", "SAYS"], rows))
    failed = [each for each in findings if not each.ok]
    if failed:
        hint = "trust none of it until you know why; docs/security.md says what each link proves"
        raise TowerosError(f"{name} does not verify: {len(failed)} of {len(findings)} links", hint=hint)

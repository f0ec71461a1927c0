"""`toweros keys rotate KEK|db` and `toweros keys retire`: other certificates for the firmware of boxes."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption
from gitops.cli.output import talk
from gitops.cli.showing.asking import DryOption, YesOption, sure, would
from gitops.errors import SettingsError, SignError
from gitops.sign import keys
from gitops.sign.enrolled import behind, remember
from gitops.sign.firmware import renewal
from gitops.sign.tokens.held import HeldRsa
from gitops.store import Store

NAMED = 6


def rotate(place: Path, name: str, public: Path | None, held: HeldRsa | None) -> None:
    renewal.rotate(place, name, datetime.now(UTC), held)
    _commit(place, public)
    talk.print(f"each box adds the new {name} once it runs that release; `toweros keys status` says who has")
    talk.print(f"then: `toweros keys retire {name}`. Take PK.key and KEK.key offline again")


def retire(
    name: Annotated[str, typer.Argument(help="KEK or db.")],
    folder: Annotated[Path | None, typer.Argument(help="The keys folder (default: the setting `keys`).")] = None,
    public: Annotated[Path | None, typer.Option("--public", help="The fleet repo's keys/.")] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="BOX", help="Go on without this one: it keeps the old.")
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Without all that have not followed.")] = False,
    yes: YesOption = False,
    dry: DryOption = False,
    config: ConfigOption = None,
) -> None:
    """Let boxes drop the KEK or db before the newest: each does so when all that it starts is signed by the newest."""
    if name not in renewal.SIGNERS:
        raise SettingsError(f"nothing of {name} is to be retired", hint="KEK or db")
    settings = context.settings(config)
    place, store = folder or settings.keys, context.existing_store(settings)
    left = _followed(place, name, store, without or [], anyway) if store and place == settings.keys else {}
    lost = f"each box that has followed drops the {name} before the newest, and its firmware does not take it back"
    if renewal.olds(place, name):  # else there is nothing to ask about: `renewal` says so
        if dry:
            return would(f"{lost}{_without(left)}")
        sure(f"{lost}{_without(left)}", yes)
    renewal.retire(place, name, datetime.now(UTC))
    for box, why in left.items():
        talk.print(f"without {box}: {why}")
    if left:
        talk.print(f"while the old {name} signs along they go on as before; docs/keys.md says how they come back")
    _commit(place, public)
    talk.print(f"each box drops the old {name} once it can do without; the old pair signs along until you remove it")


def _without(left: dict[str, str]) -> str:
    return f"; without {_names(left)}" if left else ""


def _followed(place: Path, name: str, store: Store, without: list[str], anyway: bool) -> dict[str, str]:
    """The boxes that are left behind, each with why it has not followed.

    Raises:
        SignError: others have not followed either.
        SettingsError: one that is named is no box.
    """
    for box in without:
        if not store.boxes.row(box):
            raise SettingsError(f"--without {box}: no box of this name is enrolled")
    remember(store, place)
    waits = behind(store, name, time.time())
    if missing := {box: why for box, why in waits.items() if box not in without and not anyway}:
        hint = f"wait for them; or go on without them: {_options(missing)}. They keep the old one"
        raise SignError(f"the new {name} is not yet in the firmware of {_names(missing)}", hint=hint)
    return waits


def progress(place: Path, config: Path | None) -> list[str]:
    """A sentence for each of KEK and db that boxes are still to follow to."""
    settings = context.settings(config)
    store = context.existing_store(settings) if place == settings.keys else None
    moving = [name for name in renewal.SIGNERS if renewal.moving(place, name)]
    if not store or not moving:
        return []
    remember(store, place)
    return [f"{name}: {_standing(place, name, behind(store, name, time.time()))}" for name in moving]


def _standing(place: Path, name: str, waits: dict[str, str]) -> str:
    if waits:
        return f"{_names(waits)} {'has' if len(waits) == 1 else 'have'} not followed to the newest certificate yet"
    if not renewal.retired(place, name):
        return f"every box has followed; now `toweros keys retire {name}`"
    return f"every box has followed; {renewal.olds(place, name)[-1]} and its key belong into the backup alone"


def _commit(place: Path, public: Path | None) -> None:
    if public:
        keys.export(place, public)
        return talk.print(f"commit {public}: boxes learn of it by a release")
    talk.print("`toweros keys export DIR` copies the public halves to the fleet repo's keys/; boxes learn by a release")


def _names(boxes: dict[str, str]) -> str:
    more = len(boxes) - NAMED
    named = [f"{box} ({why})" for box, why in list(boxes.items())[:NAMED]]
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _options(boxes: dict[str, str]) -> str:
    """To be typed as it is."""
    return " ".join(f"--without {box}" for box in boxes) if len(boxes) <= NAMED else "--without BOX ..., or --anyway"

"""`toweros keys rotate KEK|db` and `toweros keys retire`: other certificates for the firmware of boxes."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption
from gitops.cli.output import talk
from gitops.errors import SettingsError, SignError
from gitops.sign import keys
from gitops.sign.enrolled import behind, remember
from gitops.sign.firmware import renewal

FRESH = 7 * 86400
"""Seconds for which a report holds up a retirement: who is silent for longer is left out, unless it never spoke."""
NAMED = 6


def rotate(place: Path, name: str, public: Path | None) -> None:
    renewal.rotate(place, name, datetime.now(UTC))
    _commit(place, public)
    talk.print(f"each box adds the new {name} once it runs that release; `toweros keys status` says who has")
    talk.print(f"then: `toweros keys retire {name}`. Take PK.key and KEK.key offline again")


def retire(
    name: Annotated[str, typer.Argument(help="KEK or db.")],
    folder: Annotated[Path | None, typer.Argument(help="The keys folder (default: the setting `keys`).")] = None,
    public: Annotated[Path | None, typer.Option("--public", help="The fleet repo's keys/.")] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Though boxes have not followed: they keep the old.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Let boxes drop the KEK or db before the newest: each does so when all that it starts is signed by the newest."""
    if name not in renewal.SIGNERS:
        raise SettingsError(f"nothing of {name} is to be retired", hint="KEK or db")
    settings = context.settings(config)
    place, store = folder or settings.keys, context.existing_store(settings)
    if store and place == settings.keys and not anyway:
        remember(store, place)
        waits = behind(store, name, time.time() - FRESH)
        if waits:
            hint = "wait for them, or pass --anyway: they keep what they have"
            raise SignError(f"the new {name} is not yet in the firmware of {_names(waits)}", hint=hint)
    renewal.retire(place, name, datetime.now(UTC))
    _commit(place, public)
    talk.print(f"each box drops the old {name} once it can do without; the old pair signs along until you remove it")


def progress(place: Path, config: Path | None) -> list[str]:
    """A sentence for each of KEK and db that boxes are still to follow to."""
    settings = context.settings(config)
    store = context.existing_store(settings) if place == settings.keys else None
    moving = [name for name in renewal.SIGNERS if renewal.moving(place, name)]
    if not store or not moving:
        return []
    remember(store, place)
    return [f"{name}: {_standing(place, name, behind(store, name, 0))}" for name in moving]


def _standing(place: Path, name: str, waits: list[str]) -> str:
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


def _names(boxes: list[str]) -> str:
    more = len(boxes) - NAMED
    return ", ".join(boxes[:NAMED]) + (f" and {more} more" if more > 0 else "")

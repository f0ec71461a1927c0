"""`toweros bundle make`: what boxes are offered, as a folder to carry."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, DirOption, StateOption
from gitops.cli.output import talk
from gitops.errors import SettingsError, StoreError, TowerosError


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Updates to be carried to where no line is.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command()(make)
    app.add_typer(group, name="bundle")


def make(
    names: Annotated[list[str], typer.Argument(metavar="BOX|ROLE...", help="Boxes, or all boxes of a role.")],
    to: Annotated[Path, typer.Option("--to", help="A folder, on a stick for example; what is there is gone on with.")],
    origin: Annotated[
        str, typer.Option("--origin", help="An update server's URL (default: the state folder here).")
    ] = "",
    root: Annotated[
        Path | None, typer.Option("--root", help="Whose signatures count (default: keys/root.json of the fleet repo).")
    ] = None,
    folder: DirOption = Path(),
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write all that these boxes are offered, proven, into a folder; boxes and NOCs take it as from the server."""
    from gitops.noc import bundles
    from gitops.noc.mirror import read_root
    from gitops.noc.origin import Folder, Origin

    if origin and not origin.startswith(("http://", "https://")):
        raise SettingsError(f"--origin {origin}: an http:// or https:// URL is expected")
    source = Origin(origin.rstrip("/")) if origin else Folder(_published(context.settings(config, state).state))
    boxes = _boxes(names, folder)
    passed = bundles.make(source, read_root(root or folder / "keys" / "root.json"), boxes, to)
    size = sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
    talk.print(f"{to}: {', '.join(boxes)}; {size:,} bytes; boxes take it until {_day(passed.offers.expires)}")


def _published(state: Path) -> Path:
    """A controller's state folder. Raises StoreError: nothing was published from it."""
    if not (state / "repo" / "metadata" / "timestamp.json").is_file():
        hint = "`toweros apply` publishes; or name the update server by --origin, or the folder by --state"
        raise StoreError(f"nothing is published in {state}", hint=hint)
    return state


def _boxes(names: list[str], folder: Path) -> list[str]:
    """Which boxes are meant; a name that the fleet repo in `folder` has as a role stands for its boxes."""
    from gitops.fleet import load_fleet
    from gitops.fleet.documents.explain import did_you_mean
    from gitops.source.working_folder import fleet_in

    if not (folder / "fleet.yaml").is_file():
        return sorted({*names})
    boxes = load_fleet(fleet_in(folder)).boxes
    found = dict[str, None]()
    for name in names:
        meant = [name] if name in boxes else [box.name for box in boxes.values() if box.role == name]
        if not meant:
            known = sorted({*boxes, *(box.role for box in boxes.values())})
            raise TowerosError(f"there is no box {name!r}, and no box of such a role", hint=did_you_mean(name, known))
        found |= dict.fromkeys(meant)
    return sorted(found)


def _day(seconds: int) -> str:
    from gitops.review.words import moment

    return moment(seconds)

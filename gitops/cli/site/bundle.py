"""`toweros bundle make|show|reports`: what boxes are offered, to be carried, and what they say, as it comes back."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, DirOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.errors import SettingsError, StoreError, TowerosError

if TYPE_CHECKING:
    from gitops.settings import Settings

PlaceArgument = Annotated[
    Path, typer.Argument(metavar="DIR|ISO|DEVICE", help="A bundle: a folder, an ISO, or a stick, which is not mounted.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Updates to be carried to where no line is.", no_args_is_help=True)
    group.callback()(lambda: None)
    for verb in (make, show, reports):
        group.command()(verb)
    app.add_typer(group, name="bundle")


def make(
    names: Annotated[list[str], typer.Argument(metavar="BOX|ROLE...", help="Boxes, or all boxes of a role.")],
    to: Annotated[
        Path, typer.Option("--to", help="A folder, on a stick for example, which is gone on with; or NAME.iso.")
    ],
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
    """Write all that these boxes are offered, proven, into a folder or ISO; boxes and NOCs take it as a server's."""
    from gitops.noc import bundles
    from gitops.noc.mirror import read_root
    from gitops.noc.origin import Folder, Origin
    from gitops.publish.targets import NETBOOT

    if origin and not origin.startswith(("http://", "https://")):
        raise SettingsError(f"--origin {origin}: an http:// or https:// URL is expected")
    source = Origin(origin.rstrip("/")) if origin else Folder(_published(context.settings(config, state).state))
    boxes = _boxes(names, folder)
    iso = to.suffix == ".iso"
    parts = to.with_name(f"{to.name}.parts") if iso else to
    passed = bundles.make(source, read_root(root or folder / "keys" / "root.json"), boxes, parts)
    if iso:
        _write_iso(context.settings(config, state), parts, to)
    if started := [box for box, said in passed.offers.stated.items() if NETBOOT in said]:
        talk.print(f"{', '.join(started)}: started by the network, and a bundle brings nothing that does that")
    size = sum(path.stat().st_size for path in (to, *to.rglob("*")) if path.is_file())
    talk.print(f"{to}: {', '.join(boxes)}; {size:,} bytes; boxes take it until {_day(passed.offers.expires)}")


def show(
    place: PlaceArgument,
    root: Annotated[
        Path | None, typer.Option("--root", help="Whose signatures count (default: keys/root.json of the fleet repo).")
    ] = None,
    scratch: Annotated[
        Path | None, typer.Option("--scratch", help="Where there is room for all of it (default: the system's).")
    ] = None,
    folder: DirOption = Path(),
    output: OutputOption = Output.table,
) -> None:
    """Say for whom a bundle is, until when, and whether all of it is what is signed."""
    from gitops.noc.carried.showing import show as shown
    from gitops.noc.mirror import read_root

    found = shown(place, read_root(root or folder / "keys" / "root.json"), scratch)
    rows = [{"box": box, "release": each, "wrong": found.wrong.get(box, "")} for box, each in found.boxes.items()]
    head = ["BOX", "RELEASE", "WRONG"]
    emit(rows, output, lambda: table(head, [[str(each) for each in row.values()] for row in rows]))
    talk.print(f"{place} ({found.kind}): {found.size:,} bytes; boxes take it until {_day(found.expires)}")
    if found.wrong:
        raise StoreError(f"{place} is not whole", hint="make the bundle again")


def reports(
    place: PlaceArgument,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Take the reports that boxes wrote into a bundle, checked as if they had sent them."""
    from gitops.noc.carried.returned import returned

    rows = [asdict(each) for each in returned(place, context.known_store(config, state))]
    head = ["BOX", "TAKEN", "WORDS"]
    cells = [[row["box"], "yes" if row["taken"] else "no", row["words"]] for row in rows]
    emit(rows, output, lambda: table(head, cells))


def _write_iso(settings: "Settings", parts: Path, iso: Path) -> None:
    """What was brought for it stays until it is there: a stop costs nothing."""
    import shutil

    from gitops.noc.carried.iso import write
    from gitops.store import Store
    from gitops.workflows.media.tools import media_tools

    write(media_tools(settings, Store.of(settings)), parts, iso)
    shutil.rmtree(parts)


def _published(state: Path) -> Path:
    """A controller's state folder. Raises StoreError: nothing was published from it."""
    metadata = state / "repo" / "metadata"
    if not any((metadata / name).exists() for name in ("timestamp.json", "boxes")):
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

"""`toweros security run`, `security status`: updates that are looked for on a schedule."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import audited
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, console, emit, table, talk
from gitops.errors import StoreError, TowerosError
from gitops.settings import Settings

if TYPE_CHECKING:
    from gitops.model import Tree
    from gitops.model.updates.patching import Window
    from gitops.store import Store
    from gitops.workflows.preview import Point
    from gitops.workflows.security.known import Known

UNENDED = "it is tried ever more rarely; see what ended the controller (memory?)"
NOTHING_DEPLOYED = "run `toweros apply` first, or look at a folder with --dry-run -C DIR"


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Security updates: what is looked for, and what became of it.", no_args_is_help=True)
    group.command()(audited("security.run", unless=("dry",))(run))
    group.command()(status)
    app.add_typer(group, name="security")


def run(
    now: Annotated[bool, typer.Option("--now", help="Whatever the schedule says.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Print what would be committed, and commit nothing.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", "-C", help="With --dry-run: a folder of the fleet repo, not what is deployed."),
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Look for security updates, and offer them as the fleet repo's `security:` says."""
    settings = context.settings(config, state)
    if dry:
        _show(_tree(settings, folder), settings)
        return
    if folder:
        raise TowerosError("a run stands on what is deployed, not on a folder", hint="--dry-run goes with -C")
    store = context.existing_store(settings)
    point = _deployed(store) if store else None
    if store is None or point is None:
        raise StoreError("nothing is deployed yet", hint=NOTHING_DEPLOYED)
    _run(settings, store, point, now=now)


def _run(settings: Settings, store: "Store", point: "Point", *, now: bool) -> None:
    from gitops.builders import builder_of
    from gitops.fleet import load_fleet
    from gitops.workflows.security.advisories import Advisories
    from gitops.workflows.security.known import Known
    from gitops.workflows.updates.memory import Timetable
    from gitops.workflows.updates.schedule import Updates

    fleet = load_fleet(point[1], settings.platform)
    if fleet.policy.security is None:
        raise TowerosError("the fleet repo says nothing of updates", hint="add `security:` to fleet.yaml; docs/spec.md")
    try:
        with store.lease.held():
            advisories = Advisories(store, settings.feeds)
            advisories.refresh(int(time.time()))
            updates = Updates(settings, store, builder_of(settings, store), Known(advisories))
            if now:
                for window, outcome in updates.run_now(fleet, point[0]).items():
                    console.print(f"{window}: {outcome}")
            else:
                updates.run_due(fleet, point[0])
    except StoreError as error:
        if not now or "another controller" not in error.message:
            raise
        Timetable(store, time.time).ask(fleet.policy.security)
        talk.print("a controller is at work: it runs at its next look; `toweros security status` says what came of it")


def status(config: ConfigOption = None, state: StateOption = None, output: OutputOption = Output.table) -> None:
    """When updates are looked for, what is proposed, what is held, and the key that signs."""
    settings = context.settings(config, state)
    store = context.existing_store(settings)
    if store is None:
        raise StoreError("nothing is deployed yet", hint=NOTHING_DEPLOYED)
    said = _status(settings, store, int(time.time()))
    emit(said, output, lambda: table(["", "", ""], _rows(said, int(time.time()))))


def _status(settings: Settings, store: "Store", now: int) -> dict[str, Any]:
    from gitops.fleet import load_policy
    from gitops.security.schedule.due import counted, next_time
    from gitops.sign.commits import CommitKey
    from gitops.store.notes.documents import Patches, PatchRuns, as_json
    from gitops.workflows.updates.desk import MADE

    point = _deployed(store)
    patching = load_policy(point[1]).security if point else None
    rows = (store.notes.get(PatchRuns) or PatchRuns()).rows
    schedules = {}
    for window, when in patching.windows().items() if patching else ():
        run = counted(rows[window], now) if window in rows else None
        following = next_time(when, run, now) if run else when.after(now)
        schedules[str(window)] = {"when": str(when), "next": following, **(as_json(run) if run else {})}
    key = CommitKey.open(settings.keys) if settings.keys.is_dir() else None
    if key and key.new:
        talk.print(f"{MADE}.")
    patches = as_json(store.notes.get(Patches) or Patches())
    return {
        "schedules": schedules,
        "proposals": patches["proposals"],
        "held": patches["held"],
        "allowed_signer": key.allowed if key else "",
    }


def _rows(said: dict[str, Any], now: int) -> list[list[str]]:
    from gitops.review.words import ago, moment

    rows = []
    for name, row in said["schedules"].items():
        rows.append([name, row["when"], f"next {moment(row['next'])}"])
        if row.get("started"):
            word = row["error"] or row["outcome"]
            rows.append(["", f"last {ago(row['started'], now)} ago", word.partition("\n")[0]])
            if row["unended"]:
                rows.append(["", "", f"the run before it never ended, {row['unended']} in a row: {UNENDED}"])
            if row["error"] and row["outcome"]:
                rows.append(["", "", row["outcome"]])
    for name, row in said["proposals"].items():
        where = f"#{row['pull']}" if row["pull"] else row["ref"]
        moves = ", ".join(f"{move['source']} {move['old']} -> {move['new']}" for move in row["moves"])
        rows.append([f"proposed {name}", where, row["note"] or moves])
    for row in said["held"].values():
        moves = ", ".join(f"{move['source']} {move['new']}" for move in row["moves"])
        rows.append(["held", moves, row["why"]])
    if not said["schedules"]:
        rows.append(["no schedule", "", "`security:` in fleet.yaml says when; see docs/spec.md"])
    rows.append(["key", "for keys/allowed_signers", said["allowed_signer"] or "run `toweros keys init`"])
    return rows


def _deployed(store: "Store") -> "Point | None":
    from gitops.workflows.question import deployed_point

    return deployed_point(store)


def _tree(settings: Settings, folder: Path | None) -> "Tree":
    from gitops.source.working_folder import fleet_in

    if folder:
        return fleet_in(folder)
    store = context.existing_store(settings)
    point = _deployed(store) if store else None
    if point is None:
        raise StoreError("nothing is deployed yet", hint=NOTHING_DEPLOYED)
    return point[1]


def _known(settings: Settings) -> "Known | None":
    """What the feeds say; none is asked where the settings name none."""
    if not settings.feeds:
        return None
    from gitops.store import Store
    from gitops.workflows.security.advisories import Advisories
    from gitops.workflows.security.known import Known

    advisories = Advisories(Store.of(settings), settings.feeds)
    advisories.refresh(int(time.time()))
    return Known(advisories)


def _show(tree: "Tree", settings: Settings) -> None:
    """The messages of the commits that would be made, on stdout; what stays, on stderr."""
    from gitops.workflows.updates.preview import previews

    number = 0
    stays: dict[str, tuple[Window, str]] = {}
    for each in previews(tree, settings, _known(settings)):
        for parcel in each.parcels:
            number += 1
            console.print(f"--- {number}. {each.window}")
            console.print(parcel.message)
        stays |= {str(move): (each.window, why) for move, why in each.left if not why.startswith("belongs to")}
    for move, (_, why) in stays.items():
        talk.print(f"stays: {move}: {why}")
    talk.print(f"{number} commits would be made" if number else "nothing is newer")

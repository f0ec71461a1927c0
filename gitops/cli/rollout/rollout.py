"""`toweros rollout`: how far the newest release is, who waits for what, and a word of the operator's in between."""

import time
from collections.abc import Sequence
from dataclasses import asdict, astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import acting
from gitops.cli.context import ConfigOption, DirOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.cli.showing.asking import YesOption, sure

if TYPE_CHECKING:
    from gitops.rollout.progress import Row

WhoOption = Annotated[str, typer.Option(envvar=["SUDO_USER", "USER"], help="Who says so (default: your login).")]
WhyOption = Annotated[str, typer.Option("--why", "-m", help="The reason; everybody sees it.")]
MOST_ROWS = 500


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="How far the newest release is: its waves; pause, resume, abort, promote, simulate.")
    for verb in (status, pause, resume, abort, promote, simulate):
        group.command(no_args_is_help=False)(verb)
    app.add_typer(group, name="rollout", no_args_is_help=True)


def status(config: ConfigOption = None, state: StateOption = None, output: OutputOption = Output.table) -> None:
    """The waves as the last pass saw them, and who waits for what."""
    from gitops.rollout.progress import Progress

    progress = Progress.of(context.known_store(config, state))
    emit(progress.as_json(), output, lambda: _waves(progress.rows))
    if output is not Output.table:
        return
    if progress.paused:
        until = f", while {progress.until[:12]} is deployed" if progress.until else ""
        talk.print(f"paused by {progress.paused}{until}; `toweros rollout resume` goes on")
    for revert in (*progress.reverts, *progress.overtaken):
        talk.print(revert)
    for why, boxes in (*progress.aside.items(), *progress.waits.items()):
        talk.print(f"{boxes} {'boxes' if boxes > 1 else 'box'}: {why}")
    for line in progress.turns:
        talk.print(line)


def pause(why: WhyOption, who: WhoOption = "operator", config: ConfigOption = None, state: StateOption = None) -> None:
    """Nobody else begins, until `resume`. Who has begun goes on (`toweros suspend --all` stops those, too)."""
    from gitops.workflows.acting import rollout

    rollout.pause(acting(context.known_store(config, state), who), why)
    talk.print("nobody else begins from the next pass on; `toweros rollout resume` goes on")


def abort(
    why: WhyOption,
    who: WhoOption = "operator",
    yes: YesOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """As `pause`, for what is deployed now: the next commit is rolled out again."""
    from gitops.workflows.acting import rollout

    store = context.known_store(config, state)
    revision = rollout.deployed(store)
    sure(f"nobody else takes {revision}, and the next commit goes to all of them", yes)
    rollout.abort(acting(store, who), why, seen=revision.commit)
    talk.print(f"nobody else takes {revision}; the next commit goes on, and `git revert` is one")


def resume(
    why: Annotated[str, typer.Option("--why", "-m", help="The reason; everybody sees it.")] = "",
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Take `pause` or `abort` back."""
    from gitops.workflows.acting import rollout

    rollout.resume(acting(context.known_store(config, state), who), " ".join(why.split()))
    talk.print("the rollout goes on with the next pass")


def promote(
    wave: Annotated[str, typer.Argument(metavar="WAVE", help="Its name in fleet.yaml.")],
    why: WhyOption,
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Nobody waits for this wave any more, nor for its soak; for what it is to run now, and nothing later."""
    from gitops.workflows.acting import rollout

    rollout.promote(acting(context.known_store(config, state), who), wave, why)
    talk.print(f"nobody waits for wave {wave} from the next pass on")


def simulate(
    folder: DirOption = Path(),
    days: Annotated[int, typer.Option(min=1, max=366, help="So long.")] = 30,
    every: Annotated[float, typer.Option(min=0.05, max=366, help="Days between two commits.")] = 2,
    update: Annotated[int, typer.Option(min=1, max=1440, help="Minutes from an offer until a box is Healthy.")] = 15,
    fails: Annotated[float, typer.Option(min=0, max=1000, help="Of a thousand boxes, how many say no.")] = 0,
    silent: Annotated[float, typer.Option(min=0, max=1000, help="Of a thousand, how many are away a day a week.")] = 0,
    boxes: Annotated[int, typer.Option(min=0, max=100_000, help="Copies of the fleet's boxes, so many in all.")] = 0,
    lost: Annotated[float, typer.Option(min=0, max=1000, help="Of a thousand answers, how many get lost.")] = 0,
    calls: Annotated[float, typer.Option(min=0, max=1000, help="Of a thousand permissions, how many meet a veto.")] = 0,
    skew: Annotated[int, typer.Option(min=0, max=1440, help="Minutes by which boxes are wrong about the time.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed is the same month.")] = 1,
    floor: Annotated[list[int] | None, typer.Option(min=1, help="A commit (its number) that nobody skips.")] = None,
    output: OutputOption = Output.table,
) -> None:
    """What the `rollout:` of this fleet repo does with commits to come, on a clock that jumps."""
    from gitops.fleet import load_fleet
    from gitops.rollout.simulating.boxes import Habits
    from gitops.rollout.simulating.simulator import DAY, Commit, copies
    from gitops.rollout.simulating.simulator import simulate as run
    from gitops.source.working_folder import fleet_in

    fleet = load_fleet(fleet_in(folder))
    members, begins = copies(fleet.boxes, boxes or len(fleet.boxes)), int(time.time())
    numbers = range(1, int(days / every) + 2)
    commits = [Commit(round((at - 1) * every * DAY), f"v{at}", floor=at in (floor or ())) for at in numbers]
    habits = Habits(60 * update, fails, silent, seed=seed, lost=lost, calls=calls, skew=60 * skew)
    found = run(members, fleet.policy, commits, habits, begins=begins, days=days)
    rows = [asdict(row) | {"time": begins + row.time} for row in found.rows]
    most = {f"{kind} {name}".removesuffix(" all"): number for (kind, name), number in found.most.items()}
    emit({"rows": rows, "most": most, "took": found.took}, output, lambda: _timeline(begins, found.rows[:MOST_ROWS]))
    talk.print(
        f"boxes: {len(members)}; days: {days}; commits: {len(commits)}; restarts: {len(found.offers)}; seed: {seed}"
    )
    talk.print(f"busy at once, at most: {most.get('fleet', 0)}")
    if pinned := [name for name, box in members.items() if box.pin]:
        talk.print(f"pinned, stay as they are: {len(pinned)}")
    for content, seconds in found.took.items():
        talk.print(f"{content}: nobody waited for it any more after {seconds / 3600:.1f} h")


def _waves(rows: "Sequence[Row]") -> object:
    heads = ["WAVE", "BOXES", "HEALTHY", "GOING", "WAIT", "TROUBLE", "SAYS"]
    cells = [[str(value) for value in astuple(row)] for row in rows]
    return table(heads, cells) if rows else "No rollout yet."


def _timeline(begins: int, rows: Sequence[object]) -> object:
    from gitops.rollout.simulating.simulator import Row as Hour

    heads = ["TIME (UTC)", "COMMIT", "WENT", "HEALTHY", "FAILED", "BUSY", "WAIT", "FIRST OF THEM"]
    cells = [
        [f"{datetime.fromtimestamp(begins + row.time, UTC):%m-%d %H:%M}", row.content, str(row.went),
         str(row.healthy), str(row.failed), str(row.busy), str(sum(row.waits.values())), row.first]
        for row in rows if isinstance(row, Hour)
    ]  # fmt: skip
    return table(heads, cells)

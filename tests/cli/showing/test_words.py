"""Whatever a box, a commit or a file says is shown, whole, and no terminal acts on it; whatever width a line has."""

import ast
import time
from pathlib import Path

import pytest
from rich.cells import cell_len

from gitops.cli.output import Output as Form
from gitops.cli.output import coloured, console, emit, table, talk
from gitops.cli.showing.words import NARROW
from gitops.model import EventType, Health
from gitops.model.rollout.waves import WaveState
from gitops.store import Store
from gitops.store.notes.documents import Alarm, Status
from gitops.store.notes.newcomers import Newcomer, Newcomers
from gitops.store.notes.waves import Steered, Waves
from tests.kit.console import toweros
from tests.kit.told import ACTED_ON, HOSTILE, NEW, Told, tell

CLI = Path(__file__).parents[3] / "gitops" / "cli"
ROW = ["site-7", "Degraded", "main@5c1e5c1e5c1e", "main@5c1e5c1e5c1e", "3 min", "cannot bind: address in use, twice"]
HEADS = ["BOX", "HEALTH", "WANTED", "RUNNING", "SINCE", "SAYS"]


@pytest.fixture(autouse=True)
def pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as a pipe, whatever runs the tests says of its own terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def loud(tmp_path: Path) -> Store:
    """A store in which everybody says something hostile."""
    store, words = Store.open(tmp_path / "state"), {kind: _kept(text) for kind, text in HOSTILE.items()}
    boxes = [Told(f"box-{number}", error=text, health=Health.DEGRADED) for number, text in enumerate(words.values())]
    tell(store, boxes, 1_790_000_000)
    for text in words.values():
        store.events.add("box-1", EventType.WARNING, text[:50], text)
    store.notes.put(Status(error=words["markup"], reason="X", alarms=(Alarm("A", words["escape"]),), polled=1,
                           warnings=(words["turned round"],)))  # fmt: skip
    said = words["markup"] + words["escape"]
    now = int(time.time())
    asking = Newcomer("vm", now, now, said, said, (said,), said, "", said)
    store.notes.put(Newcomers({"ab" * 32: asking}))
    store.notes.put(Waves((WaveState(said, NEW, {"Healthy": 1}, 0, said),)))
    store.notes.put(Steered(said, said, 1))
    return store


def _kept(text: str) -> str:
    """What a database takes."""
    return text.encode(errors="replace").decode().replace("\x00", "\x01")


@pytest.mark.parametrize("columns", ["", "60"])
@pytest.mark.parametrize(
    "words",
    ["status", "status box-0", "status box-1", "events", "rollout status", "box adopt --list", "box enroll --list",
     "security status", "cache ls"],
)  # fmt: skip
def test_no_verb_acts_on_what_others_say(
    loud: Store, words: str, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    verb, *more = words.split()
    done = toweros(verb, *more, "--state", str(loud.paths.root))
    assert done.exit_code == 0, done.exception
    said = done.stdout + done.stderr
    assert not [mark for mark in ACTED_ON if mark in said]
    if words in ("status", "status box-0", "events"):
        assert HOSTILE["markup"] in said.replace("\n", "") or columns, "markup is letters"
    if columns:
        assert max(map(cell_len, done.stdout.splitlines())) <= 60


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_neither_a_table_nor_a_sentence_is_markup(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    emit([], Form.table, lambda: table(["A", "B"], [[text, coloured("ok", "green")]]))
    emit([], Form.table, lambda: text)
    talk.print(text)
    talk.say("error:", "red", text)
    told = capsys.readouterr()
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    assert told.out.count(shown) == 2 and told.err.count(shown) == 2


@pytest.mark.parametrize("columns", [NARROW, 60, 80, 110, 200])
def test_nothing_that_an_operator_needs_is_cut_off(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    long = ["a" * 63, *ROW[1:5], " ".join(["reason"] * 40)]
    console.print(table(HEADS, [ROW, long]))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    letters = "".join("".join(lines).split())
    for cell in ROW[:5]:
        assert cell.replace(" ", "") in letters
    assert letters.count("reason") == 40 and letters.count("a") >= 63
    assert lines[0].startswith("BOX") and "HEALTH" in lines[0]


def test_a_table_of_short_cells_is_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    console.print(table(HEADS, [ROW, ROW]))
    head, rule, *rows = capsys.readouterr().out.splitlines()
    assert [line.split() for line in (head, *rows)] == [HEADS, *[" ".join(ROW).split()] * 2] and set(rule) == {"─"}


def test_only_one_module_makes_consoles_and_nobody_asks_for_markup() -> None:
    """A second way would be a way around: `lab` tells its own story, in its own words."""
    strays = []
    for path in CLI.rglob("*.py"):
        text = path.read_text()
        names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        if path.name not in ("words.py", "sheet.py", "demo.py") and (names & {"Console", "Table"} or "markup" in text):
            strays.append(path.name)
    assert strays == []

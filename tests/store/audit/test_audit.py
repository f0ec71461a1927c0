"""No act without its line, and no line that is changed, put in or taken out without being told."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.errors import StoreError, TowerosError
from gitops.model.access.act import Act
from gitops.store import Store
from gitops.store.audit.chain import LENGTHS, MOST, parse
from gitops.store.audit.files import DROPPED, MENDED, Files
from gitops.store.audit.log import AT_ONCE, UNKNOWN, AuditLog
from gitops.store.audit.verified import Verified, verified
from gitops.store.notes.audited import AuditHead

HOLD = Act(1_790_000_000, "ada", "account", "192.0.2.7", "box.hold", "site-7", "the mast is open")


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    store = Store.open(tmp_path / "state")
    return AuditLog(store.paths.audit, store.notes)


def acted(log: AuditLog, times: int = 3) -> None:
    for number in range(times):
        with log.doing(replace(HOLD, subject=f"site-{number}")):
            pass


def judged(log: AuditLog) -> Verified:
    assert log._notes
    return verified(log.files.lines(), [log._notes.get(AuditHead) or AuditHead()])


def test_an_act_is_written_before_it_is_done_and_again_when_it_ended(log: AuditLog) -> None:
    with log.doing(HOLD) as doing:
        assert [(line.act.outcome, outcome) for line, outcome in log.newest()] == [("begun", UNKNOWN)]
        doing.outcome = "done already"
    with pytest.raises(TowerosError), log.doing(replace(HOLD, what="box.release")):
        raise TowerosError("nobody holds it")
    with pytest.raises(KeyboardInterrupt), log.doing(replace(HOLD, what="box.retry")):
        raise KeyboardInterrupt
    assert [(line.act.what, outcome) for line, outcome in log.newest()] == [
        ("box.retry", "not done: KeyboardInterrupt"),
        ("box.release", "not done: nobody holds it"),
        ("box.hold", "done already"),
    ]
    found = judged(log)
    assert (found.first, found.number, found.open, found.wrong) == (1, 6, 0, [])


def lines(log: AuditLog) -> list[bytes]:
    return log.files.names()[0].read_bytes().splitlines(keepends=True)


TAMPERED: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "changed": (lambda rows: [*rows[:2], rows[2].replace(b"ada", b"eve"), *rows[3:]], "before it was changed"),
    "changed, and not as it is written": (lambda rows: [rows[0].replace(b'","', b'", "'), *rows[1:]], "not as it was"),
    "the last one changed": (lambda rows: [*rows[:-1], rows[-1].replace(b"done", b"DONE")], "another one than is"),
    "taken out": (lambda rows: [*rows[:2], *rows[3:]], "lines are gone, or came in"),
    "taken from the end": (lambda rows: rows[:4], "lines 5 to 6 are gone from the end"),
    "taken from the beginning": (lambda rows: rows[2:], "lines 1 to 2 are gone, and no line says so"),
    "all gone": (lambda rows: [], "lines 1 to 6 are gone from the end"),
    "another order": (lambda rows: [rows[1], rows[0], *rows[2:]], "lines are gone, or came in"),
    "put in": (lambda rows: [*rows[:3], b'{"who":"eve"}\n', *rows[3:]], "no line of an audit log"),
    "too long": (lambda rows: [b"x" * (3 * MOST) + b"\n", *rows[1:]], "no line of an audit log"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_whoever_changes_the_log_is_told(log: AuditLog, how: str) -> None:
    acted(log)
    tamper, says = TAMPERED[how]
    log.files.names()[0].write_bytes(b"".join(tamper(lines(log))))
    assert says in " ".join(judged(log).wrong)


def test_a_whole_log_that_somebody_wrote_again_is_not_the_one_that_was_noted(log: AuditLog) -> None:
    """Who may write the folder and the database can make another chain; not one with the digest that was noted."""
    acted(log)
    noted = AuditHead(judged(log).number, judged(log).digest)
    for path in log.files.names():
        path.unlink()
    other = AuditLog(log.files.folder)
    for _ in range(9):
        other.note(replace(HOLD, who="eve"))
    assert verified(other.files.lines(), []).wrong == []
    assert "was changed" in " ".join(verified(other.files.lines(), [noted]).wrong)


def test_a_line_that_a_power_cut_tore_was_never_promised_and_the_next_one_says_so(log: AuditLog) -> None:
    acted(log, 1)
    path = log.files.names()[0]
    path.write_bytes(path.read_bytes() + b'{"address":"half of')
    log.note(HOLD)
    assert [parse(row.rstrip()).act.what for row in lines(log)] == ["box.hold", "box.hold", MENDED, "box.hold"]
    assert "half of" in parse(lines(log)[2].rstrip()).act.reason and judged(log).wrong == []


def test_the_oldest_lines_go_after_a_line_has_said_which(tmp_path: Path) -> None:
    files = Files(tmp_path / "audit", size=2000, kept=3)
    for number in range(40):
        files.add(replace(HOLD, subject=f"site-{number}"))
    assert len(files.names()) == 3
    found = verified(files.lines(), [])
    assert found.wrong == [] and 1 < found.first < found.number
    kept = [parse(data.rstrip()) for _, _, data in files.lines()]
    assert str(found.first - 1) in [line.act.subject for line in kept if line.act.what == DROPPED]
    files.names()[0].unlink()
    assert "no line says so" in " ".join(verified(files.lines(), []).wrong), "nobody but the log itself"


def test_words_of_others_are_one_short_line_of_letters(log: AuditLog) -> None:
    evil = "\x1b[2J\n{}\u202e" + "x" * 100_000 + "\udc9b"
    log.note(Act(1, evil, evil, evil, evil, evil, evil, evil))
    (data,) = lines(log)
    act = parse(data.rstrip()).act
    assert len(data) < MOST and all(len(getattr(act, name)) <= most for name, most in LENGTHS.items())
    assert not set("\x1b\n\u202e\udc9b") & set(data.decode().rstrip("\n"))


def test_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from gitops.model.access.act import Act\n"
        "from gitops.store.audit.files import Files; files = Files(Path(sys.argv[1]), size=20_000)\n"
        "Path(sys.argv[2]).touch()\n"
        "while not Path('go').exists(): time.sleep(0.001)\n"
        "for n in range(50): files.add(Act(n, sys.argv[2], 'cli', '', 'box.hold', str(n)))\n"
    )
    words = [[sys.executable, "-c", code, str(tmp_path / "audit"), who] for who in ("ada", "ben", "eve")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    begun = [subprocess.Popen(each, cwd=tmp_path, env=environment) for each in words]
    while not all((tmp_path / who).exists() for who in ("ada", "ben", "eve")):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [process.wait(60) for process in begun] == [0, 0, 0]
    found = verified(Files(tmp_path / "audit").lines(), [])
    assert (found.first, found.number, found.wrong) == (1, 150, [])


def test_where_no_line_can_be_written_nothing_is_done(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may not grow any more: what a full disk is to a write, in the middle of a line."""
    acted(log, 1)
    before, limit = log.files.names()[0].read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    done = False
    import signal

    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limit[1]))
    try:
        with pytest.raises(StoreError, match=r"audit log .* cannot be written: File too large") as caught:
            with log.doing(HOLD):
                done = True
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, kept)
    assert not done and "nothing is done without its line" in caught.value.hint
    assert log.files.names()[0].read_bytes() == before, "nothing of it is left"
    with log.doing(HOLD):
        done = True
    assert done and judged(log).wrong == []


def test_where_the_end_cannot_be_written_the_act_stands(log: AuditLog) -> None:
    with log.doing(HOLD):
        folder = log.files.folder
        folder.rename(folder.with_name("gone"))
        folder.write_text("in the way")
    folder.unlink()
    folder.with_name("gone").rename(folder)
    assert [outcome for _, outcome in log.newest()] == [UNKNOWN] and judged(log).open == 1


def test_strangers_fill_nothing_and_are_counted(log: AuditLog) -> None:
    tried = replace(HOLD, who="", what="login", outcome="refused")
    for _ in range(10 * AT_ONCE):
        log.stranger(tried)
    assert len(lines(log)) == AT_ONCE
    log.stranger(replace(HOLD, outcome="refused"))
    assert parse(lines(log)[-1].rstrip()).act.outcome == "refused", "they hide nobody who is known"
    log._strangers._left = 1.0
    log.stranger(tried)
    assert parse(lines(log)[-1].rstrip()).act.outcome == f"refused; {9 * AT_ONCE} more of this kind before it are " \
        "counted, not written"  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_belongs_to_whoever_the_state_belongs_to(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    Files(tmp_path / "audit").add(HOLD)
    assert {path.stat().st_uid for path in [tmp_path / "audit", *(tmp_path / "audit").iterdir()]} == {12345}


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """The folder may be a weaker user's, and root types a command."""
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "lock").symlink_to(tmp_path / "passwd")
    with pytest.raises(StoreError, match="cannot be written"):
        Files(tmp_path / "audit").add(HOLD)
    assert not (tmp_path / "passwd").exists()

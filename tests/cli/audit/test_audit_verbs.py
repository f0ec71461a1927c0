"""What is typed is in the audit log, by whom the system says that it was; the log leaves, and is checked anywhere."""

import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from gitops.cli.main import verbs
from gitops.model.access.person import Grant, Role
from gitops.sign import keys
from gitops.store import Store
from gitops.workflows.access.accounts import Accounts
from tests.kit.console import toweros
from tests.kit.told import Told, tell

NOW = 1_790_000_000
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A controller's, with one box; nobody is behind sudo."""
    for name in ("SUDO_USER", "SSH_CLIENT", "SSH_CONNECTION", "USER"):
        monkeypatch.delenv(name, raising=False)
    tell(Store.open(tmp_path / "state"), [Told("site-7")], NOW)
    (tmp_path / "toweros.toml").write_text(f'state = "state"\nrepository = "x"\nkeys = "{tmp_path}/keys"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


def acts(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(toweros("audit", "list", "-o", "json", *words).stdout)
    return found


def test_a_hold_that_is_typed_has_who_typed_it(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--who` proves nothing: it is told beside the name that the system gives."""
    monkeypatch.setenv("SSH_CLIENT", "192.0.2.7 50000 22")
    assert toweros("suspend", "site-7", "--why", "the mast", "--who", "ada").exit_code == 0
    assert toweros("suspend", "no-such", "--why", "the mast").exit_code == 1
    first, second = acts()
    assert (first["who"], first["how"], first["address"]) == (ME, "cli", "192.0.2.7")
    assert (first["what"], first["subject"], first["reason"]) == ("box.hold", "site-7", "as ada: the mast")
    assert (first["outcome"], second["outcome"]) == ("done", "not done: there is no box no-such")
    monkeypatch.setenv("SUDO_USER", "ben")
    assert toweros("resume", "site-7", "-m", "closed").exit_code == 0
    assert acts()[-1]["who"] == ("ben" if os.geteuid() == 0 else ME)
    assert [each["what"] for each in acts("--what", "box.release")] == ["box.release"]
    assert acts("--since", "2099-01-01") == []


def test_a_name_that_nobody_has_is_told_with_who_is_known_and_is_no_empty_table(state: Path) -> None:
    Accounts(Store.open(state)).add("adda", "a long enough password", (Grant(Role.operator),))
    assert toweros("suspend", "site-7", "--why", "the mast", "--who", "carla").exit_code == 0

    def told(*words: str) -> str:
        done = toweros("audit", "list", *words)
        return f"{done.exit_code}: {done.stdout}{done.exception or ''} {getattr(done.exception, 'hint', '')}"

    assert told("--who", "addo") == "1: nobody of the audit log is addo is adda meant?"
    assert told("--who", "zzzzzz").endswith(f"there are: {', '.join(sorted({ME, 'adda'}))}")
    assert "1 lines have it as what --who of a verb said, which proves nothing" in told("--who", "carla")
    assert told("--subject", "site-8") == "1: nothing of the audit log is about site-8 is site-7 meant?"
    for known in (("--who", "adda"), ("--who", ME, "--since", "2099-01-01"), ("--subject", "site-7", "--what", "keys")):
        assert told(*known).startswith("0: Nothing."), "who did nothing is no stranger"


def test_verbs_that_change_something_are_recorded_and_those_that_look_are_not(state: Path, tmp_path: Path) -> None:
    assert toweros("keys", "rotate", "receipts").exit_code == 0
    (tmp_path / "keys").mkdir(mode=0o700, exist_ok=True)
    lines = [toweros("keys", "ssh-user-ca").stdout for _ in range(2)]
    assert lines[0] == lines[1] and lines[0].startswith("ssh-ed25519 ")
    assert toweros("box", "revoke", "site-7", "--yes").exit_code == 0
    assert toweros("box", "enroll", "site-7", "--key", "ab" * 32).exit_code == 0
    assert toweros("backup", str(tmp_path / "x.backup")).exit_code == 1, "there is nothing of it yet"
    for looks in (["box", "enroll", "--list"], ["box", "adopt"], ["box", "wipe", "site-7", "-m", "x", "--dry-run"]):
        toweros(*looks)
    told = [(each["what"], each["subject"], each["outcome"].split(":")[0]) for each in acts()]
    assert told == [
        ("keys.rotate", "receipts", "done"),
        ("keys.ssh-user-ca", str(tmp_path / "keys"), "done"),
        ("box.revoke", "site-7", "done"),
        ("box.enroll", "site-7", "done"),
        ("backup", str(tmp_path / "x.backup"), "not done"),
    ]


def test_the_first_account_is_recorded_where_there_was_nothing_and_no_password_or_token_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toweros.toml").write_text('state = "state"\nrepository = "x"\n')
    (tmp_path / "password").write_text("a sentence that is long")
    added = toweros("people", "add", "ada", "--role", "admin", "--password-file", "password")
    assert added.exit_code == 0, added.output
    token = toweros("tokens", "add", "ci", "--role", "operator@north").stdout.strip()
    told = [(each["what"], each["subject"]) for each in acts()]
    assert told == [("people.add", "ada admin"), ("tokens.add", "ci operator@north 365")]
    text = "".join(path.read_text() for path in (tmp_path / "state" / "audit").glob("*.jsonl"))
    assert "a sentence" not in text and token and token.rpartition("_")[2] not in text


def test_without_a_controllers_state_nothing_is_recorded_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keys folder on a machine of its own."""
    monkeypatch.chdir(tmp_path)
    keys.init(tmp_path / "keys", b"x" * 20)
    (tmp_path / "secret").write_text("x" * 20)
    done = toweros("keys", "renew", str(tmp_path / "keys"), "--passphrase-file", str(tmp_path / "secret"))
    assert done.exit_code == 0 and sorted(path.name for path in tmp_path.iterdir()) == ["keys", "secret"]


def test_an_export_is_checked_elsewhere_and_what_was_changed_is_told(state: Path, tmp_path: Path) -> None:
    for number in range(3):
        toweros("suspend", "site-7", "--why", f"reason {number}")
    exported = toweros("audit", "export").stdout
    (tmp_path / "log.jsonl").write_text(exported)
    assert exported == "".join(path.read_text() for path in sorted((state / "audit").glob("*.jsonl")))
    whole = toweros("audit", "verify", "-o", "json")
    assert whole.exit_code == 0 and json.loads(whole.stdout)["number"] == 6
    noted = "{number}:{digest}".format(**json.loads(whole.stdout))
    assert toweros("audit", "verify", "log.jsonl", "--head", noted).exit_code == 0
    (tmp_path / "part.jsonl").write_text("".join(exported.splitlines(keepends=True)[2:]))
    assert toweros("audit", "verify", "part.jsonl").exit_code == 0, "the last week is whole, too"
    (tmp_path / "log.jsonl").write_text(exported.replace("reason 1", "reason 7"))
    wrong = toweros("audit", "verify", "log.jsonl", "--head", noted)
    assert wrong.exit_code == 1 and "log.jsonl, line 4: line 4 does not follow" in wrong.stderr
    (path,) = (state / "audit").glob("*.jsonl")
    path.write_text("".join(exported.splitlines(keepends=True)[:4]))
    gone = toweros("audit", "verify")
    assert gone.exit_code == 1 and "lines 5 to 6 are gone from the end" in gone.stderr
    for bad in ("x", "6:abc", f"6:{'0' * 64}"):
        assert toweros("audit", "verify", "--head", bad).exit_code == 1, bad


def test_whoever_adds_a_verb_says_whether_it_is_recorded() -> None:
    """Each verb that takes `--why` or asks before it acts changes something."""
    import importlib
    import inspect

    import typer

    loose = []
    for verb, module in verbs().items():
        app = typer.Typer()
        importlib.import_module(module).register(app)
        groups = [app, *(group.typer_instance for group in app.registered_groups)]
        for command in (each.callback for group in groups if group for each in group.registered_commands):
            words = set(inspect.signature(command).parameters) if command else set()
            text = inspect.getsource(inspect.unwrap(command)) if command else ""
            told = hasattr(command, "__wrapped__") or "acting(" in text or "_record" in text
            if words & {"why", "yes"} and not told:
                loose.append(f"{verb} {getattr(command, '__name__', '')}")
    assert loose == []

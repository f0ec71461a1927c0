"""People come in to a box through the server: the real ssh, sshd, agent's session, relay and command of each side."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.errors import TowerosError
from gitops.model.access.person import Grant, Person, Role
from gitops.model.access.remote import EACH, Kind
from tests.kit.cutting import cutting
from tests.kit.remote_boxes import NAME, OTHER, RemoteBox, remote_box


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteBox]:
    with remote_box(tmp_path_factory.mktemp("remote"), "shell") as made:
        (made.folder / "logs" / "hello.log").write_text("".join(f"line {number}\n" for number in range(200)))
        yield made


@pytest.fixture
def box(one: RemoteBox) -> Iterator[RemoteBox]:
    """It allows a shell; whoever is on it leaves."""
    one.allow("shell")
    one.forget()
    yield one
    one.remote.end("the story is over")
    one.wait("everybody to be gone", lambda: not one.sessions)


# --- what people do ---------------------------------------------------------------------------------------------------


def test_logs_are_followed_until_the_person_leaves_and_all_of_it_is_recorded(box: RemoteBox) -> None:
    box.allow("logs")
    ticket = box.ask(Kind.logs)
    ssh = box.ssh(ticket, "2", "-f", "hello")
    box.polls()
    assert ssh.stdout and [ssh.stdout.readline() for _ in range(2)] == [b"line 198\n", b"line 199\n"]
    with (box.folder / "logs" / "hello.log").open("a") as file:
        file.write("another\n")
    assert ssh.stdout.readline() == b"another\n"
    ssh.send_signal(signal.SIGTERM)
    ssh.communicate(timeout=60)
    box.wait("the box to see it", lambda: not box.sessions)
    box.polls()
    box.wait("the server to say so", lambda: any("logs for ada ended after" in each for each in box.events()))
    told = box.events()
    for words in (
        "ada asks for logs: the mast is silent",
        "logs for ada begins",
        "the box says: logs for ada: the mast",
    ):
        assert any(each.startswith(words) for each in told), told
    assert [(act.what, act.subject, act.outcome) for act in box.acts[-1:]] == [("box.logs", NAME, "asked")]
    assert (box.acts[-1].who, box.acts[-1].reason) == ("ada", "the mast is silent")
    last = box.here.store.boxes.report(NAME)
    assert last and last.remote and last.remote["state"] == "ended"


def test_a_shell_is_a_shell_and_carries_what_is_large(box: RemoteBox) -> None:
    ssh = box.ssh(box.ask(Kind.shell), "id -u; wc -c")
    box.polls()
    out, err = ssh.communicate(bytes(1 << 20), timeout=60)
    assert out == b"0\n1048576\n", err
    ssh = box.ssh(box.ask(Kind.shell), "head -c 1048576 /dev/zero")
    box.polls()
    assert len(ssh.communicate(timeout=60)[0]) == 1 << 20
    assert "ID ada: the mast is silent (serial " in (box.folder / "sshd.log").read_text()


def test_a_restart_waits_for_nobody_and_the_person_is_told(box: RemoteBox) -> None:
    ticket = box.ask(Kind.shell)
    ssh = box.ssh(ticket, "echo in; sleep 60")
    box.polls()
    assert ssh.stdout and ssh.stdout.readline() == b"in\n"
    began = time.monotonic()
    box.remote.end("the box restarts now")
    assert time.monotonic() - began < 10
    ssh.communicate(timeout=60)
    assert box.says(ticket) == "the box restarts now"


def test_a_box_that_never_comes_is_told_in_a_sentence(box: RemoteBox) -> None:
    ticket = box.ask(Kind.shell, now=time.time() - 298)
    _, err = box.ssh(ticket, "id").communicate(timeout=60)
    assert "one did not come in time" in box.says(ticket) and b"did not come in time" in err
    box.polls()
    assert box.sessions == 0, "late is late"


def test_connections_that_are_reset_again_and_again_lose_and_double_nothing(box: RemoteBox) -> None:
    count = {"up": 0, "down": 0}

    def reset(way: str, data: bytes) -> bytes | None:
        count[way] += 1
        return None if count[way] % 7 == 0 else data

    with cutting(box.url, reset) as server:
        ssh = box.ssh(box.ask(Kind.shell), "cat", server=server)
        box.polls()
        text = b"".join(b"%d\n" % number for number in range(20_000))
        out, err = ssh.communicate(text, timeout=120)
    assert out == text, err
    assert min(count.values()) > 7, "it was cut"


def test_a_server_that_dies_in_the_middle_ends_the_session_and_nothing_else(box: RemoteBox) -> None:
    dead = False

    def die(way: str, data: bytes) -> bytes | None:
        return None if dead else data

    ticket, before = box.ask(Kind.shell), box.reporter.server
    with cutting(box.url, die) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("toweros_agent.remote.line.PATIENCE", 1.0)
        patch.setattr("gitops.server.remote.relay.WAIT", 0.5)  # what is on its way now shows it soon
        box.reporter.server = server
        ssh = box.ssh(ticket, "echo in; sleep 60", server=server)
        box.polls()
        assert ssh.stdout and ssh.stdout.readline() == b"in\n"
        dead = True
        box.wait("the box to see it", lambda: not box.sessions)
        box.reporter.server, dead = before, False
        ssh.kill()
        ssh.communicate(timeout=60)
    box.remote.told(box.well)
    assert "the server is away" in box.log[-1]
    ssh = box.ssh(box.ask(Kind.shell), "echo again")
    box.polls()
    assert ssh.communicate(timeout=60)[0] == b"again\n"


# --- what nobody may --------------------------------------------------------------------------------------------------


def test_a_request_counts_once_whoever_repeats_it(box: RemoteBox) -> None:
    ticket = box.ask(Kind.shell)
    ssh = box.ssh(ticket, "echo once")
    box.polls()
    assert ssh.communicate(timeout=60)[0] == b"once\n"
    box.wait("its end", lambda: not box.sessions)
    before = len(box.log)
    box.hears(ticket.certificate.split()[1])
    box.hears(ticket.certificate.split()[1], ticket.certificate.split()[1])
    assert box.sessions == 0 and box.log[before:] == [each for each in box.log[before:] if "ended" in each]
    again = box.folder / "again"
    again.mkdir()
    (box.folder / ticket.session).rename(again / "first")
    _, err = box.ssh(ticket, "echo twice").communicate(timeout=60)
    assert b"the session is over" in err


def test_the_request_of_another_box_opens_nothing(box: RemoteBox) -> None:
    box.hears(box.signed(Kind.shell, box=OTHER))
    assert box.sessions == 0 and box.log[-1] == "remote: no shell for eve: in: the request is for another box"
    ticket = box.ask(Kind.shell)
    box.take(fleet := box.fleet)
    principals = box.folder / "etc" / "remote" / "principals"
    principals.write_text(principals.read_text().replace(NAME, OTHER))
    assert box.direct(ticket, "id").returncode == 255, "nor does sshd of another box take it"
    box.take(fleet)


def test_a_request_that_has_ended_or_has_not_begun_opens_nothing(box: RemoteBox) -> None:
    for now, why in ((time.time() - 400, "the request ended"), (time.time() + 900, "later than this box's clock")):
        box.hears(box.signed(Kind.shell, now=now))
        assert box.sessions == 0 and why in box.log[-1]


def test_a_server_that_is_slow_to_hear_a_refusal_keeps_the_agent_from_nothing(box: RemoteBox) -> None:
    """The loop feeds the watchdog."""
    released, before = threading.Event(), box.reporter.server

    def hold(way: str, data: bytes) -> bytes | None:
        released.wait(60)
        return None

    with cutting(box.url, hold) as server:
        box.reporter.server = server
        box.hears(box.signed(Kind.shell, now=time.time() - 400))
        box.reporter.server = before
        assert [each for each in threading.enumerate() if each.name.startswith("declines-")], "it waits elsewhere"
        released.set()


def test_a_release_without_remote_lets_nobody_in_whoever_signed_it(box: RemoteBox) -> None:
    ticket = box.ask(Kind.shell)
    (box.folder / "etc" / "remote" / "allows").write_text("")
    (box.folder / "etc" / "remote" / "principals").write_text("")
    ssh = box.ssh(ticket, "id")
    box.polls()
    assert ssh.communicate(timeout=60)[0] == b"" and box.says(ticket) == "this release allows nothing, and no shell"
    assert box.direct(ticket, "id").returncode == 255
    box.polls()
    assert any("shell for ada: the mast is silent refused: this release allows" in each for each in box.events())
    with pytest.raises(TowerosError, match=r"lets nobody have shell of two \(remote: none\)"):
        box.ask(Kind.shell, box=OTHER)
    assert box.acts[-1].outcome.startswith("not done: what is deployed lets nobody")


def test_who_may_read_logs_gets_no_shell(box: RemoteBox) -> None:
    """Not of a person without the right, not of a box that allows logs, not by a certificate for logs."""
    operator = Person("bob", (Grant(Role.operator),))
    with pytest.raises(TowerosError, match="bob may not have shell of one: it needs admin"):
        box.ask(Kind.shell, person=operator)
    elsewhere = Person("cid", (Grant(Role.admin, "south"),))
    with pytest.raises(TowerosError, match="cid may not have logs of one"):
        box.ask(Kind.logs, person=elsewhere)
    assert box.direct(box.ask(Kind.logs), "id").returncode == 2, "a certificate for logs, on a box that allows a shell"
    for words in (
        "id",
        "1; id",
        "$(id)",
        "1 ../../etc/shadow",
        "1 -f -f",
        "1 .x",
        "100000000 hello",
        "1 -f /etc/passwd",
    ):
        done = box.reads_logs(words)
        assert done.returncode in (1, 2) and b"uid=" not in done.stdout + done.stderr and b"root" not in done.stdout, (
            words
        )
    box.forget()
    shell = box.ask(Kind.shell)
    box.allow("logs")
    box.polls()
    assert box.log[-1].endswith("this release allows logs, and no shell") and box.sessions == 0
    done = box.direct(shell, "1", "hello")
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 1), "what it runs is the release's"
    assert box.direct(shell, "id").returncode not in (0, 255)


def test_a_flood_of_requests_costs_some_sessions_and_no_more(box: RemoteBox, tmp_path: Path) -> None:
    strangers = box.here.folder / "strangers"
    strangers.mkdir(exist_ok=True)
    before = len(box.log)
    for words in (["x" * 5000], ["AAAA" * 100] * 50, [box.signed(Kind.shell, keys=strangers)], ["\x00", "é" * 200]):
        box.hears(*words)
    assert box.sessions == 0 and len(box.log) - before < 10
    asked = [box.ask(Kind.shell) for _ in range(EACH)]
    with pytest.raises(TowerosError, match=f"{EACH} sessions were asked for on one"):
        box.ask(Kind.shell)
    people = [box.ssh(each, "echo in; sleep 60") for each in asked]
    box.polls()
    for each in people:
        assert each.stdout and each.stdout.readline() == b"in\n"
    box.hears(*[box.signed(Kind.shell) for _ in range(50)])
    assert box.sessions == EACH and box.log[-1].endswith(f"{EACH} sessions are open on this box already")
    for each in people:
        each.kill()
        each.communicate(timeout=60)


def test_who_relays_can_neither_read_nor_inject(box: RemoteBox) -> None:
    seen = bytearray()

    def listen(way: str, data: bytes) -> bytes:
        seen.extend(data)
        return data

    with cutting(box.url, listen) as server:
        ssh = box.ssh(box.ask(Kind.shell), "echo top-$((40 + 2))-secret", server=server)
        box.polls()
        assert ssh.communicate(timeout=60)[0] == b"top-42-secret\n"
    assert b"SSH-2.0" in seen and b"secret" not in seen and b"PRIVATE" not in seen

    def spoil(way: str, data: bytes) -> bytes:
        if way == "down" and len(data) > 300 and b"SSH-2.0" not in data:
            return data[:-40] + bytes(each ^ 1 for each in data[-40:])
        return data

    with cutting(box.url, spoil) as server:
        ssh = box.ssh(box.ask(Kind.shell), "echo in", server=server)
        box.polls()
        out, err = ssh.communicate(timeout=60)
    assert out == b"" and ssh.returncode != 0, err


def test_who_answers_in_the_boxs_place_is_not_believed(box: RemoteBox, tmp_path: Path) -> None:
    """A server that carries the person to an sshd of its own has no certificate of the fleet's for it."""
    ticket = box.ask(Kind.shell)
    with box.another_sshd(tmp_path):
        ssh = box.ssh(ticket, "id")
        box.polls()
        out, err = ssh.communicate(timeout=60)
    assert out == b"" and b"Host key verification failed" in err

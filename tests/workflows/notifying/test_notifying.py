"""People are told of what happens: once, in one message however much it is, and whatever receivers do.

The store, the notifier, HTTP and SMTP are real, on the loopback.
"""

import contextlib
import hashlib
import hmac
import http.server
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gitops.errors import FleetError, SettingsError
from gitops.fleet import load_fleet
from gitops.model import EventType, Happened, Health, Phase, Report
from gitops.model.notifying.rules import LINES, NotifyRule
from gitops.rollout.places import remember
from gitops.settings import Settings
from gitops.settings.loading import load
from gitops.settings.receivers import Receiver
from gitops.store import LeaseError, Store, tables
from gitops.store.notes.directory import Place, Roster
from gitops.store.notes.notices import Notice, Notices, NotifyRules
from gitops.store.notes.reported import BoxFacts
from gitops.workflows.notifying import gathering, notifier, sending
from gitops.workflows.notifying.notifier import GIVE_UP, Notifier, notifying
from tests.kit.authority import Authority
from tests.kit.console import toweros
from tests.simulators.mail import PASSWORD, USER, MailServer
from tests.simulators.tree import DictTree

SECRET, NOW = "s3cret-of-the-hook", 1_795_000_000
ALL = NotifyRule("ops", ("hook",), gather=0)


@dataclass
class Hook:
    """A receiver that keeps what it is sent. `manners`: for each request one of ok, 500, redirect, silent, huge; the
    last one stays."""

    manners: list[str] = field(default_factory=lambda: ["ok"])
    got: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    @property
    def told(self) -> list[Any]:
        return [json.loads(body) for *_, body in self.got]


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            manner = hook.manners.pop(0) if len(hook.manners) > 1 else hook.manners[0]
            if manner == "silent":
                time.sleep(3)
                return
            self.send_response({"500": 500, "redirect": 302}.get(manner, 200))
            if manner == "redirect":
                self.send_header("Location", f"{hook.url}/elsewhere")
            self.end_headers()
            with contextlib.suppress(OSError):
                while manner == "huge":
                    self.wfile.write(b"x" * 65536)

        def do_PUT(self) -> None:
            self.do_POST()

        def do_GET(self) -> None:
            hook.got.append(("GET", self.path, {}, b"{}"))
            self.send_response(200)
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hook.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield hook
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings(tmp_path: Path, hook: Hook) -> Settings:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    made = Receiver(name="hook", kind="webhook", url=f"{hook.url}/in", secret_file=tmp_path / "secret")
    return Settings(state=tmp_path / "state", receivers=(made,))


@pytest.fixture
def store(settings: Settings) -> Store:
    made = Store.open(settings.state)
    made.notes.put(NotifyRules((ALL,)))
    return made


def heard(store: Store, name: str, at: int, health: Health = Health.HEALTHY) -> None:
    if store.states.one(name) is None:
        store.boxes.enroll(name, "ab" * 32)
        store.notes.put(BoxFacts(30, 30), name)
    report = Report(name, "b", at, at, "1", 7, "0" * 64, "1" * 64, Phase.IDLE, health)
    assert store.boxes.save_report(report, now=at)


def warn(store: Store, message: str = "no", box: str = "") -> None:
    store.events.add(box, EventType.WARNING, Happened.REFUSED, message)


def started(store: Store, settings: Settings) -> Notifier:
    """One that has had its first look."""
    made = Notifier(store, settings)
    made.round(NOW)
    return made


# --- what is told, and once ---


def test_what_was_before_the_first_look_is_not_told_and_each_thing_after_it_once(
    store: Store, settings: Settings, hook: Hook
) -> None:
    warn(store, "old")
    one = started(store, settings)
    warn(store, "new", "demo-1")
    store.events.add("demo-1", EventType.NORMAL, Happened.RUNS, "no warning")
    for more in range(3):
        one.round(NOW + more)
    Notifier(store, settings).round(NOW + 9)
    (told,) = hook.told
    assert (told["title"], told["rule"], told["counts"]) == ("demo-1: Refused: new", "ops", {"Refused": 1})


def test_a_webhook_is_signed_over_the_bytes_that_come(store: Store, settings: Settings, hook: Hook) -> None:
    one = started(store, settings)
    warn(store, "grüße <b>")
    one.round(NOW + 1)
    ((method, path, headers, body),) = hook.got
    assert (method, path) == ("POST", "/in") and headers["content-type"] == "application/json"
    mac = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["toweros-signature"] == f"sha256={mac}" and headers["toweros-delivery"] == json.loads(body)["id"]
    assert SECRET.encode() not in body


def test_five_hundred_boxes_that_go_missing_are_one_message(store: Store, settings: Settings, hook: Hook) -> None:
    store.notes.put(NotifyRules((replace(ALL, gather=60),)))
    store.notes.put(Roster({f"site-{at}": Place("vm", "Berlin") for at in range(500)}))
    heard(store, "site-0", NOW)
    with store._database.write() as connection:
        for table in (tables.boxes, tables.reports, tables.notes):
            (row,) = [dict(each) for each in connection.execute(table.select()).mappings() if "site-0" in each.values()
                      or "facts/site-0" in each.values()]  # fmt: skip
            name = table.primary_key.columns[0].name
            prefix = row[name].removesuffix("site-0")
            rows = [row | {name: f"{prefix}site-{at}"} for at in range(1, 500)]
            rows = [each | {"received": NOW - at // 25} for at, each in enumerate(rows)] if "received" in row else rows
            connection.execute(table.insert(), rows)
    one = started(store, settings)
    for later in range(290, 420, 10):
        one.round(NOW + later)
    (told,) = hook.told
    assert told["title"] == "500 times Missing" and len(told["lines"]) == LINES + 1
    assert told["lines"][-1] == "and 480 more" and told["first"][0]["site"] == "Berlin"
    assert len(hook.got[0][3]) < 10_000


def test_a_silence_is_told_once_and_so_is_its_end(store: Store, settings: Settings, hook: Hook) -> None:
    store.notes.put(NotifyRules((replace(ALL, on=("Late", "Missing", "Heard")),)))
    heard(store, "demo-1", NOW)
    one = started(store, settings)
    for later in (60, 100, 200, 301, 400):
        one.round(NOW + later)
    heard(store, "demo-1", NOW + 500)
    one.round(NOW + 501)
    Notifier(store, settings).round(NOW + 502)
    assert [told["title"] for told in hook.told] == ["demo-1: Late", "demo-1: Missing", "demo-1: Heard"]


def test_a_rule_tells_of_its_boxes_roles_sites_and_words_alone(store: Store, settings: Settings, hook: Hook) -> None:
    places = {"a": Place("vm", "Berlin"), "b": Place("vm", "Rome"), "c": Place("kiosk", "Berlin")}
    store.notes.put(Roster(places))
    rules = [replace(ALL, name="berlin", sites=("Berlin",)), replace(ALL, name="vm", roles=("vm",))]
    rules += [replace(ALL, name="c", boxes=("c",)), replace(ALL, name="resets", on=("Reset",))]
    store.notes.put(NotifyRules(tuple(rules)))
    one = started(store, settings)
    for box in places:
        warn(store, box=box)
    one.round(NOW + 1)
    told = {each["rule"]: sorted(row["box"] for row in each["first"]) for each in hook.told}
    assert told == {"berlin": ["a", "c"], "vm": ["a", "b"], "c": ["c"]}


def test_quiet_hours_end_with_one_message(store: Store, settings: Settings, hook: Hook) -> None:
    midnight = NOW - NOW % 86_400
    store.notes.put(NotifyRules((replace(ALL, quiet=("daily 22:00-07:00",)),)))
    one = Notifier(store, settings)
    one.round(midnight)
    for hour in range(1, 7):
        warn(store, f"at {hour}")
        one.round(midnight + hour * 3600)
    assert hook.got == []
    Notifier(store, settings).round(midnight + 7 * 3600)
    (told,) = hook.told
    assert told["title"] == "6 times Refused", "also over a restart"


# --- receivers that misbehave ---


def test_what_is_not_taken_is_tried_again_ever_more_slowly_with_the_same_id(
    store: Store, settings: Settings, hook: Hook
) -> None:
    hook.manners = ["500", "redirect", "ok"]
    one = started(store, settings)
    warn(store)
    for later in range(1, 60):
        one.round(NOW + later)
    assert [path for _, path, *_ in hook.got] == ["/in"] * 3, "a redirect is not followed"
    assert len({told["id"] for told in hook.told}) == 1
    notices = store.notes.get(Notices)
    assert notices and notices.outbox == ()


def test_a_receiver_that_is_silent_or_never_ends_costs_a_bounded_time_and_no_other_its_message(
    store: Store, settings: Settings, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BOUNDS", replace(sending.BOUNDS, silence=0.2, longest=0.5))
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        place = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        bad = Receiver(name="deaf", kind="slack", url=place)
        both = settings.model_copy(update={"receivers": (bad, *settings.receivers)})
        store.notes.put(NotifyRules((replace(ALL, to=("deaf", "hook")),)))
        hook.manners = ["huge"]
        one = started(store, both)
        warn(store, "first")
        one.round(NOW + 1)
        warn(store, "second")
        one.round(NOW + 2)
        assert [told["first"][0]["message"] for told in hook.told] == ["first", "second"]
        notices = store.notes.get(Notices)
        assert notices and [each.receiver for each in notices.outbox] == ["deaf", "deaf"]
        one.round(NOW + GIVE_UP + 100)
    left = store.notes.get(Notices)
    assert left and left.outbox == ()
    said = [each.message for each in store.events.latest("") if each.reason == Happened.NOTIFY]
    assert len(said) == 2 and all("deaf was not told (ops: controller: Refused:" in each for each in said)
    assert len(hook.got) == 2, "that somebody was not told is told nobody: it would never end"


def test_the_queue_of_a_receiver_that_is_away_for_days_is_bounded(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "MOST", 5)

    def away(receiver: Receiver, notice: Notice) -> None:
        raise sending.SendError("it is away")

    one = Notifier(store, settings, away)
    one.round(NOW)
    for more in range(12):
        warn(store, f"number {more}")
        one.round(NOW + 1 + more)
    notices = store.notes.get(Notices)
    assert notices and [each.gathered.first[0].message for each in notices.outbox] == [
        f"number {n}" for n in range(7, 12)
    ]


# --- kills, and a second controller ---


class Killed(BaseException):
    """What a power cut is to a process: no handler runs."""


@pytest.mark.parametrize("arrived", [False, True])
def test_killed_while_it_sends_it_is_not_told_twice_and_somebody_can_see_it(
    store: Store, settings: Settings, hook: Hook, arrived: bool
) -> None:
    def cut(receiver: Receiver, notice: Notice) -> None:
        if arrived:
            sending.send(receiver, notice)
        raise Killed

    one = Notifier(store, settings, cut)
    one.round(NOW)
    warn(store)
    with pytest.raises(Killed):
        one.round(NOW + 1)
    after = Notifier(store, settings)
    after.round(NOW + 2)
    after.round(NOW + 100)
    assert len(hook.got) == arrived
    (said,) = [each for each in store.events.latest("") if each.reason == Happened.NOTIFY]
    assert said.message.endswith("it may have arrived")


def test_killed_before_it_sends_it_is_told_by_the_next(
    store: Store, settings: Settings, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = started(store, settings)
    warn(store)

    def die(self: Notifier, notice: Notice, now: int) -> bool:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Notifier, "_send", die)
        one.round(NOW + 1)
    Notifier(store, settings).round(NOW + 2)
    assert len(hook.got) == 1


def test_of_two_controllers_the_one_that_holds_the_lease_tells(settings: Settings, hook: Hook) -> None:
    first, second = Store.open(settings.state), Store.open(settings.state)
    stop = threading.Event()
    with first.lease.held(stop):
        first.notes.put(NotifyRules((ALL,)))
        with notifying(first, settings, every=0.02):
            while (first.notes.get(Notices) or Notices()).cursor < 0:
                time.sleep(0.01)
            warn(second)
            while not hook.got:
                time.sleep(0.01)
            time.sleep(0.1)
    with second.lease.held(stop):
        with notifying(second, settings, every=0.02):
            time.sleep(0.2)
            warn(first, "another")
            while len(hook.got) < 2:
                time.sleep(0.01)
        warn(first, "a third")
        with pytest.raises(LeaseError):
            Notifier(first, settings).round(NOW)
    assert [told["first"][0]["message"] for told in hook.told] == ["no", "another"]


# --- chats and mail ---


def told_by(receiver: Receiver, message: str = "no <!channel> & *all*") -> None:
    words = gathering.Gathered(NOW).add([gathering.Occurrence("a", "vm", "Rome", "Refused", message, True, NOW)])
    sending.send(receiver, Notice("5" * 32, receiver.name, "ops", words, NOW))


def test_a_chat_gets_words_and_no_commands(hook: Hook, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{hook.url}/services/T0/secret\n")
    (tmp_path / "token").write_text("syt_secret\n")
    told_by(Receiver(name="slack", kind="slack", url_file=tmp_path / "url"))
    told_by(Receiver(name="m", kind="matrix", url=hook.url, token_file=tmp_path / "token", room="!room:example.org"))
    slack, matrix = hook.got
    assert slack[1] == "/services/T0/secret"
    assert json.loads(slack[3]) == {"text": "TowerOS: a (Rome): Refused: no &lt;!channel&gt; &amp; *all*"}
    path = f"/_matrix/client/v3/rooms/%21room%3Aexample.org/send/m.room.message/{'5' * 32}"
    assert matrix[:2] == ("PUT", path) and matrix[2]["authorization"] == "Bearer syt_secret"
    assert json.loads(matrix[3])["body"].startswith("TowerOS: a (Rome)")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority()
    (tmp_path / "ca.pem").write_text(made.pem)
    return made


def mailbox(folder: Path, server: MailServer, **more: Any) -> Receiver:
    (folder / "password").write_text(PASSWORD)
    known = {"ca": folder / "ca.pem", "user": USER, "password_file": folder / "password"}
    return Receiver(
        name="mail", kind="email", smtp=server.place, sender="toweros@example.org", recipients=("ops@example.org",),
        **known | more,
    )  # fmt: skip


def test_a_mail_goes_by_starttls_with_a_password_and_its_header_stays_one_line(
    tmp_path: Path, authority: Authority
) -> None:
    with MailServer(tmp_path, authority, "rude") as server:
        told_by(mailbox(tmp_path, server), "no\r\nBcc: everybody@example.org\n\x1b[2J")
        (mail,) = server.messages
    assert server.logins == [f"\0{USER}\0{PASSWORD}"] and server.clear == []
    assert mail["To"] == "ops@example.org" and mail["Bcc"] is None and mail["Message-ID"] == f"<{'5' * 32}@example.org>"
    assert mail["Subject"].startswith("TowerOS: a (Rome): Refused: no")


@pytest.mark.parametrize(
    ("manner", "more", "why"),
    [
        ("drips", {}, "the mail server: SMTPServerDisconnected"),
        ("refuses", {}, "the mail server says 550"),
        ("bare", {}, "the mail server: SMTPNotSupportedError"),
        ("", {"ca": None}, "the mail server: SSLCertVerificationError"),
        ("", {"user": "somebody"}, "the mail server says 535"),
    ],
)
def test_a_mail_server_that_is_not_the_one_or_never_ends_takes_no_mail(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, manner: str, more: dict[str, Any], why: str
) -> None:
    monkeypatch.setattr(sending, "MAIL_SECONDS", 1.0 if manner == "drips" else 20.0)
    with MailServer(tmp_path, authority, manner) as server:
        with pytest.raises(sending.SendError) as refused:
            told_by(mailbox(tmp_path, server, **more))
        assert refused.value.message == why and server.messages == [] and server.clear == []
    assert PASSWORD not in str(refused.value)


# --- what Git and the settings may say ---


def fleet(notify: str) -> Any:
    return load_fleet(DictTree({"fleet.yaml": f"source: {{branch: main}}\n{notify}\n"}))


@pytest.mark.parametrize(
    ("notify", "why"),
    [
        ("notify: [{name: a}]", "`to` is missing"),
        ("notify: [{name: a, to: [x], when: now}]", "when"),
        ("notify: [{name: a, to: [x], on: [missing box]}]", "one word"),
        ("notify: [{name: a, to: [x], quiet: [night]}]", "a window such as"),
        ("notify: [{name: a, to: [x]}, {name: a, to: [x]}]", "two rules are called a"),
        ("notify: [{name: a, to: [x], gather: 999999}]", "gather"),
        ("notify: [{name: a, to: [x], severity: [critical]}]", "known: normal, warning"),
        ("notify: [{name: a, to: [x], labels: [lab]}]", "labels"),
    ],
)
def test_a_mistake_in_notify_is_told_with_its_line(notify: str, why: str) -> None:
    with pytest.raises(FleetError) as caught:
        fleet(notify)
    assert re.search(r"fleet.yaml:2", str(caught.value)) and why in str(caught.value), caught.value


def test_a_pass_takes_the_rules_of_git_and_what_went_from_git_is_told_no_more(store: Store) -> None:
    rule = 'notify: [{name: night, to: [hook], on: [Missing], sites: [Berlin], quiet: ["daily 22:00-07:00"]}]'
    remember(store, fleet(rule))
    wanted = NotifyRule("night", ("hook",), ("Missing",), sites=("Berlin",), quiet=("daily 22:00-07:00",))
    assert store.notes.get(NotifyRules) == NotifyRules((wanted,))
    remember(store, fleet(""))
    assert store.notes.get(NotifyRules) == NotifyRules()


def test_a_rule_tells_of_boxes_with_its_labels_and_of_what_is_as_grave_as_it_says(
    store: Store, settings: Settings, hook: Hook
) -> None:
    """Without `on`, whatever is that grave; with it, those reasons when they are. The controller has no labels."""
    text = "notify: [{name: lab, to: [hook], severity: [normal], labels: {ring: lab, cell: c-1}, gather: 0}]"
    remember(store, fleet(text))
    (rule,) = (store.notes.get(NotifyRules) or NotifyRules()).rules
    rows = {"a": {"ring": "lab", "cell": "c-1"}, "b": {"ring": "lab"}, "c": {"ring": "lab", "cell": "c-2"}}
    store.notes.put(Roster({box: Place("vm", labels=labels) for box, labels in rows.items()}))
    teller = Notifier(store, settings)
    teller.round(NOW)
    for box in ("a", "b", "c", ""):
        store.events.add(box, EventType.NORMAL, Happened.PUBLISHED, "v2")
        warn(store, box=box)
    teller.round(NOW + 1)
    assert [(each["box"], each["reason"]) for told in hook.told for each in told["first"]] == [("a", "Published")]
    said = {"on": ("Refused",), "severity": ("warning",), "labels": ()}
    refused = gathering.Occurrence("x", "vm", "", "Refused", "no", True, NOW)
    assert replace(rule, **said).about(refused, {})  # type: ignore[arg-type]
    assert not replace(rule, **said).about(replace(refused, warning=False), {})  # type: ignore[arg-type]
    assert not replace(rule, **said).about(replace(refused, reason="Reset"), {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ('name = "x"\nkind = "webhook"\nurl = "https://x.example"', "needs secret_file"),
        ('name = "x"\nkind = "slack"', "needs url or url_file"),
        ('name = "x"\nkind = "slack"\nurl_file = "here"', "absolute path"),
        ('name = "x"\nkind = "email"\nsmtp = "x:25"\nsender = "a@b"\nrecipients = ["a b"]', "recipients"),
        ('name = "x"\nkind = "pager"', "kind"),
    ],
)
def test_a_receiver_that_lacks_something_is_told_and_no_secret_with_it(tmp_path: Path, row: str, why: str) -> None:
    (tmp_path / "toweros.toml").write_text(f"[[receivers]]\n{row}\n")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "toweros.toml")
    assert why in f"{caught.value.message} {caught.value.hint}" and "x.example" not in caught.value.message


def test_a_test_message_goes_to_each_receiver_of_a_rule_and_says_who_cannot_be_told(
    store: Store, settings: Settings, hook: Hook, tmp_path: Path
) -> None:
    store.notes.put(NotifyRules((replace(ALL, to=("hook", "pager")),)))
    file = tmp_path / "toweros.toml"
    file.write_text(
        f'state = "{settings.state}"\n[[receivers]]\nname = "hook"\nkind = "webhook"\nurl = "{hook.url}/in"\n'
        f'secret_file = "{tmp_path}/secret"\n'
    )
    done = toweros("notify", "test", "ops", "--config", str(file))
    assert done.exit_code == 1 and "hook: told" in done.stderr and "pager: the settings have no such" in done.stderr
    assert hook.told[0]["title"] == "controller: Test: the rule ops reaches you"
    none = toweros("notify", "test", "night", "--config", str(file))
    assert isinstance(none.exception, SettingsError) and "are: ops" in none.exception.hint


def test_a_document_that_is_damaged_costs_what_was_on_its_way_and_no_more(
    store: Store, settings: Settings, hook: Hook
) -> None:
    one = started(store, settings)
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE values_ SET document = '{' WHERE name = 'notices'")
    one.round(NOW + 1)
    warn(store)
    one.round(NOW + 2)
    assert len(hook.got) == 1 and notifier.EVERY < 60


def test_a_receiver_that_cannot_work_at_all_keeps_nobody_from_the_others(
    store: Store, settings: Settings, hook: Hook
) -> None:
    """The file with its authorities is gone."""
    files = {"secret_file": settings.receivers[0].secret_file, "ca": Path("/nonexistent/ca.pem")}
    broken = Receiver(name="broken", kind="webhook", url="https://127.0.0.1:1/", **files)  # type: ignore[arg-type]
    store.notes.put(NotifyRules((replace(ALL, to=("broken", "hook")),)))
    both = Notifier(store, settings.model_copy(update={"receivers": (broken, *settings.receivers)}))
    both.round(NOW)
    store.events.add("box-1", EventType.WARNING, Happened.FELL_BACK, "no answer")
    both.round(NOW + 1)
    both.round(NOW + 2)
    assert len(hook.told) == 1
    (waits,) = (store.notes.get(Notices) or Notices()).outbox
    assert (waits.receiver, waits.tried) == ("broken", 1), "later, not at each look"


def test_a_clock_that_was_years_ahead_makes_nobody_mute(store: Store, settings: Settings, hook: Hook) -> None:
    store.notes.put(NotifyRules((replace(ALL, gather=60),)))
    one, ahead = Notifier(store, settings), NOW + 5 * 365 * 86_400
    one.round(NOW)
    store.events.add("box-1", EventType.WARNING, Happened.FELL_BACK, "no answer")
    one.round(ahead)
    hook.manners[:] = ["500", "ok"]
    one.round(ahead + 60)
    one.round(NOW + 60)
    assert len(hook.told) == 2, "what was put off by that clock goes"
    store.events.add("box-2", EventType.WARNING, Happened.FELL_BACK, "no answer")
    one.round(ahead)
    one.round(NOW + 61)
    assert len(hook.told) == 3, "and so does what it began to gather"

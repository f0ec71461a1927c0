"""A box that lost its key asks for itself, a new disk does not silence the old one, and a stranger gets nowhere.

The agent's own reporter and keys, on folders as its partitions, against the real server on the loopback.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from toweros_agent.machine import State
from toweros_agent.nouns import canonical
from toweros_agent.offer.net import Http
from toweros_agent.outgoing.identity import Identity, fingerprint, text_of
from toweros_agent.outgoing.rows import Health
from toweros_agent.report import Report, Reporter
from typer.testing import Result

from gitops.errors import StoreError, TowerosError
from gitops.server import create_app, serve
from gitops.settings import Settings
from gitops.sign import box as box_keys
from gitops.store import Store
from gitops.store.notes.box_keys import Asking, BoxKeys
from gitops.workflows.enrolment import desk
from gitops.workflows.enrolment.requests import MOST
from tests.kit.console import toweros
from tests.kit.published import kit

WELL = Report(1, "0" * 64, "0" * 64, State.IDLE, Health.HEALTHY, "", 0, 0, "toweros-1.efi", [], [], {}, [])
NAME = "demo-1"


class Disk:
    """One disk: two partitions, and what reports from it."""

    def __init__(self, folder: Path, url: str, private: bytes = b"") -> None:
        self.toweros, self.esp = folder / "toweros" / "identity", folder / "esp"
        self.toweros.mkdir(parents=True)
        (self.esp / "EFI").mkdir(parents=True)
        (folder / "boot_id").write_text(f"{folder.name}\n")
        self._folder, self._url = folder, url
        if private:
            (self.toweros / "box.key").write_bytes(private)

    def reporter(self, box: str = NAME) -> Reporter:
        """As the agent of a new boot makes it."""
        identity = Identity(self.toweros, self.esp)
        return Reporter(Http(lambda: None, time.sleep), self._url, box, identity, self._folder / "boot_id")

    def report(self) -> str:
        """What went wrong with a report from here."""
        time.sleep(0.002)  # the counter is in milliseconds
        return self.reporter().send(WELL)

    def fingerprint(self) -> str:
        return fingerprint(self.reporter().identity.public)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = kit(tmp_path / "kit")
    made.publisher.publish([made.publication(NAME, 1)])
    return made.store


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0") as url:
        yield url


@pytest.fixture
def disk(tmp_path: Path, url: str) -> Callable[[], Disk]:
    """Makes disks with keys of their own; `let_in` is what `toweros box image` does with them."""
    made: list[Disk] = []

    def make() -> Disk:
        private, public = box_keys.make()
        made.append(Disk(tmp_path / f"disk-{len(made)}", url, box_keys.text_of(private, public)))
        return made[-1]

    return make


def let_in(store: Store, disk: Disk) -> None:
    desk.let_in(store, NAME, disk.reporter().identity.public)


def refusal(result: Result) -> str:
    assert result.exit_code == 1 and isinstance(result.exception, StoreError), result.output
    return f"{result.exception.message} ({result.exception.hint})"


def happened(store: Store, reason: str) -> list[str]:
    return [each.message for each in store.events.latest(NAME) if each.reason == reason]


def test_a_box_that_lost_both_keys_asks_and_is_let_in_by_its_fingerprint(
    store: Store, disk: Callable[[], Disk]
) -> None:
    box, state = disk(), ["--state", str(store.paths.root)]
    let_in(store, box)
    assert box.report() == ""
    (box.toweros / "box.key").unlink()
    (box.esp / "EFI" / "toweros" / "box.key").unlink()
    said = box.report()
    assert "HTTP 403" in said and said.endswith(f"this box's key is {box.fingerprint()}")
    listed = toweros("box", "enroll", "--list", *state)
    assert box.fingerprint() in listed.stdout and NAME in listed.stdout
    assert box.fingerprint() in toweros("status", *state).stderr
    assert len(happened(store, "Asks")) == 1 and box.report() and len(happened(store, "Asks")) == 1, "said once"
    which = toweros("box", "enroll", NAME, *state)
    assert box.fingerprint() in which.stdout and "--fingerprint" in refusal(which)
    wrong = toweros("box", "enroll", NAME, "--fingerprint", "0000-" * 8, *state)
    assert "no key with this fingerprint asks" in refusal(wrong)
    aloud = box.fingerprint().upper().replace("-", " ")
    assert toweros("box", "enroll", NAME, "--fingerprint", aloud, *state).exit_code == 0
    assert box.report() == "" and desk.requests(store, int(time.time())) == []
    row = store.boxes.row(NAME)
    assert row and box_keys.fingerprint(row.public_key) == box.fingerprint()


def test_an_image_for_a_box_that_lives_needs_a_word_and_the_old_key_counts_until_the_new_one_is_seen(
    store: Store, disk: Callable[[], Disk], tmp_path: Path
) -> None:
    old, new = disk(), disk()
    let_in(store, old)
    assert old.report() == ""
    words = ["box", "image", NAME, "--out", str(tmp_path / "new.img"), "--state", str(store.paths.root)]
    refused = toweros(*words)
    assert "demo-1 is alive: it reported 0 minutes ago" in refusal(refused)
    assert "--replace" in refusal(refused) and not (tmp_path / "new.img").exists()
    key = new.reporter().identity.public
    assert toweros("box", "enroll", NAME, "--key", key, *words[-2:]).exit_code == 1, "another way to the same"
    for asks in (["box", "enroll", NAME, "--key", key, "--replace", *words[-2:]], [*words, "--replace"]):
        nobody = toweros(*asks).exception
        assert isinstance(nobody, TowerosError) and "nobody is here to be asked" in nobody.message
        assert "--yes" in nobody.hint and new.report() != ""
    dry = toweros("box", "enroll", NAME, "--key", key, "--replace", "--dry-run", *words[-2:])
    assert dry.exit_code == 0 and "would do: let the key" in dry.stderr and new.report() != ""
    assert toweros("box", "enroll", NAME, "--key", key, "--replace", "--yes", *words[-2:]).exit_code == 0
    assert old.report() == "", "the image lies on a desk"
    assert new.report() == "", "now it is in the box"
    assert "HTTP 403" in old.report()
    assert len(happened(store, "Enrolled")) == 1
    assert new.report() == "" and store.notes.get(BoxKeys, NAME)
    assert [each.fingerprint for each in desk.requests(store, int(time.time()))] == [old.fingerprint()]


def test_whoever_asks_while_the_box_reports_is_a_second_one(store: Store, disk: Callable[[], Disk]) -> None:
    box, stranger = disk(), disk()
    let_in(store, box)
    assert stranger.report() and box.report() == ""
    now, key = int(time.time()), stranger.reporter().identity.public
    store.notes.put(BoxKeys("", (Asking(key, now - 60, now - 60),)), NAME)
    with pytest.raises(StoreError, match="there are two of that name"):
        desk.accept(store, NAME, stranger.fingerprint(), now)
    assert box.report() == "" and "HTTP 403" in stranger.report()
    desk.accept(store, NAME, stranger.fingerprint(), now, replace=True)
    assert box.report() == "", "until the other one is seen"


def test_a_revoked_box_stays_out_whatever_was_to_come(store: Store, disk: Callable[[], Disk]) -> None:
    old, new = disk(), disk()
    let_in(store, old)
    let_in(store, new)
    assert toweros("box", "revoke", NAME, "--yes", "--state", str(store.paths.root)).exit_code == 0
    assert "HTTP 403" in new.report() and "HTTP 403" in old.report()
    let_in(store, new)
    assert new.report() == "" and "HTTP 403" in old.report(), "who is let in after that counts at once"


def test_a_revoked_key_asks_for_nothing_and_comes_back_by_its_name_alone(
    store: Store, disk: Callable[[], Disk]
) -> None:
    stolen, state = disk(), ["--state", str(store.paths.root)]
    let_in(store, stolen)
    assert stolen.report() == "" and toweros("box", "revoke", NAME, "--yes", *state).exit_code == 0
    assert "HTTP 403" in stolen.report() and desk.requests(store, int(time.time())) == []
    with pytest.raises(StoreError, match="no key with this fingerprint"):
        desk.accept(store, NAME, stolen.fingerprint(), int(time.time()), replace=True)
    key = stolen.reporter().identity.public
    assert "was revoked" in refusal(toweros("box", "enroll", NAME, "--key", key, *state))
    assert "HTTP 403" in stolen.report()
    assert toweros("box", "enroll", NAME, "--key", key, "--replace", "--yes", *state).exit_code == 0
    assert stolen.report() == "", "somebody was sure"


def test_a_disk_that_lay_on_a_desk_for_too_long_ends_no_key_and_is_shown_until_then(
    store: Store, disk: Callable[[], Disk]
) -> None:
    box, forgotten, state = disk(), disk(), ["--state", str(store.paths.root)]
    let_in(store, box)
    let_in(store, forgotten)
    assert forgotten.fingerprint() in toweros("status", *state).stderr
    store.notes.change(BoxKeys, lambda keys: replace(keys, since=keys.since - desk.LAPSES), NAME)
    assert "HTTP 403" in forgotten.report() and box.report() == ""
    assert f"the key {forgotten.fingerprint()} comes" not in toweros("status", *state).stderr
    let_in(store, forgotten)
    kept = toweros("box", "enroll", NAME, "--keep", *state)
    assert forgotten.fingerprint() in kept.stderr
    assert "HTTP 403" in forgotten.report() and box.report() == ""


def test_strangers_fill_nothing_and_take_nothing(store: Store, disk: Callable[[], Disk], url: str) -> None:
    box = disk()
    let_in(store, box)
    assert box.report() == ""
    strangers = [disk() for _ in range(MOST + 2)]
    for each in strangers:
        assert "HTTP 403" in each.report()
    asked = [each.fingerprint for each in desk.requests(store, int(time.time()))]
    assert asked == [each.fingerprint() for each in strangers[:MOST]] and len(happened(store, "Asks")) == MOST
    assert "HTTP 403" in strangers[0].reporter("nobody-7").send(WELL)
    assert set(store.notes.each(BoxKeys)) == {NAME}, "a name that nobody knows is not made"
    assert box.report() == "", "and the box goes on"


def test_what_proves_nothing_is_no_request(store: Store, disk: Callable[[], Disk]) -> None:
    let_in(store, disk())
    reporter, now = disk().reporter(), int(time.time())
    text, key = reporter.text(WELL), reporter.identity.public
    signature = reporter.identity.sign(text).hex()
    desk.ask(store, NAME, text, "0" * 128, key, now)
    desk.ask(store, NAME, text, signature, disk().reporter().identity.public, now)
    other = canonical({"box": "demo-2"})
    desk.ask(store, NAME, other, reporter.identity.sign(other).hex(), key, now)
    desk.ask(store, NAME, b"[", reporter.identity.sign(b"[").hex(), key, now)
    assert desk.requests(store, now) == []
    desk.ask(store, NAME, text, signature, key, now)
    assert [each.key for each in desk.requests(store, now)] == [key]


def test_both_sides_write_a_key_and_its_fingerprint_alike(tmp_path: Path) -> None:
    private, public = box_keys.make()
    assert fingerprint(public) == box_keys.fingerprint(public)
    made = Disk(tmp_path / "disk", "", box_keys.text_of(private, public)).reporter().identity
    assert text_of(made._private()) == box_keys.text_of(private, public)

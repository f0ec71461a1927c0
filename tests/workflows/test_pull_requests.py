"""Pull requests of a real repository, and a forge beside the loop."""

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.errors import SettingsError
from gitops.forges.forge import Pull
from gitops.forges.token import TOKEN
from gitops.model import Action
from gitops.review.nouns import Ruling
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.documents import ForgeMemory
from gitops.workflows.reviews.rounds import Reviews
from tests.kit.desk import TOKEN_TEXT
from tests.kit.pulls import fleet_and_revision, push_pull, reviews
from tests.kit.remote import Remote
from tests.kit.site import Site
from tests.simulators.forge import REPOSITORY, Fault, Forge

__all__ = ["reviews"]


def test_a_forge_without_a_repository_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert Reviews.of(Settings(), store) is None
    with pytest.raises(SettingsError, match="forge_repository"):
        Reviews.of(Settings(forge="github"), store)


# --- with a real repository -------------------------------------------------------------------------------------------


def test_a_pull_request_of_a_real_repository_is_planned_from_where_it_left(
    reviews: tuple[Reviews, Store, Remote], hub: Forge
) -> None:
    speaker, store, remote = reviews
    head = push_pull(remote, 7, {"pkg/hello/file": "new"})
    hub.pull(7, head, fork=True)
    summary = speaker.plan(Pull(7, head, "main", True, "refs/pull/7/head"), False)
    assert [step.subject for step in summary.builds] == ["pkg/hello"] and summary.count(Action.UPDATE) == 3
    assert summary.verdict.state == Ruling.ACCEPTED and not summary.exact
    bad = push_pull(remote, 8, {"boxes/one.yaml": "rol: vm\n"})
    hub.pull(8, bad)
    fleet, revision = fleet_and_revision(remote)
    speaker.round(fleet, revision)
    assert "pkg/hello/file changed" in hub.ours(7)[0] and "unknown key 'rol'" in hub.ours(8)[0]
    assert hub.state(revision.commit, "toweros/deploy") == ("pending", "0/3 boxes healthy")
    assert (store.notes.get(ForgeMemory) or ForgeMemory()).error == ""
    assert store.events.latest() == []


def test_a_forge_that_is_away_is_an_event_once_and_the_round_returns(
    reviews: tuple[Reviews, Store, Remote], hub: Forge
) -> None:
    speaker, store, remote = reviews
    fleet, revision = fleet_and_revision(remote)
    hub.faults.append(Fault(503))
    for _ in range(3):
        speaker.round(fleet, revision)
    assert [(event.type, event.reason) for event in store.events.latest()] == [("Warning", "Forge")]
    assert "503" in (store.notes.get(ForgeMemory) or ForgeMemory()).error and len(hub.requests) == 1
    assert TOKEN_TEXT not in str(store.events.latest()) + str(store.notes.get(ForgeMemory))
    start = time.monotonic()
    speaker.start(fleet, revision)
    assert time.monotonic() - start < 0.5


# --- beside the loop --------------------------------------------------------------------------------------------------


def run_until(site: Site, hub: Forge, done: Callable[[Store], bool]) -> None:
    """Let the loop run until something holds, or fail."""
    controller, store, _ = site.start()
    stop = threading.Event()
    loop = threading.Thread(target=controller.run_forever, args=(stop,), daemon=True)
    loop.start()
    end = time.monotonic() + 30
    while time.monotonic() < end and not done(store):
        time.sleep(0.05)
    stop.set()
    loop.join(30)
    assert done(store), (hub.asked(), hub.statuses)


def follow(site: Site, hub: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, TOKEN_TEXT)
    words = {"forge": "github", "forge_url": hub.url, "forge_repository": REPOSITORY, "poll": 1}
    site.settings = site.settings.model_copy(update=words)


def test_a_merge_is_pending_until_every_box_is_healthy(site: Site, hub: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(site, hub, monkeypatch)
    commit = site.remote.git("rev-parse", "HEAD")
    said = functools.partial(hub.state, commit, "toweros/deploy")
    run_until(site, hub, lambda _: said() == ("pending", "0/3 boxes healthy"))
    site.report("a")
    site.report("b")
    run_until(site, hub, lambda _: said() == ("pending", "2/3 boxes healthy"))
    site.report("c")
    run_until(site, hub, lambda _: said() == ("success", "3/3 boxes healthy"))
    site.commit({"pkg/hello/file": "hello 2\n"})
    commit = site.remote.git("rev-parse", "HEAD")
    run_until(site, hub, lambda _: hub.state(commit, "toweros/deploy") == ("pending", "0/3 boxes healthy"))
    site.report("a", failed=True)
    run_until(site, hub, lambda _: (hub.state(commit, "toweros/deploy") or ("",))[0] == "failure")


def test_a_commit_that_cannot_be_carried_out_fails_there(
    site: Site, hub: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(site, hub, monkeypatch)
    good = site.remote.git("rev-parse", "HEAD")
    run_until(site, hub, lambda _: hub.state(good, "toweros/deploy") is not None)
    site.commit({"boxes/a.yaml": "rol: vm\n"})
    commit = site.remote.git("rev-parse", "HEAD")
    run_until(site, hub, lambda _: (hub.state(commit, "toweros/deploy") or ("",))[0] == "failure")


@pytest.mark.parametrize("fault", [Fault(delay=20.0), Fault(500), Fault(200, raw=b"{")], ids=["hangs", "fails", "lies"])
def test_a_forge_in_trouble_holds_up_no_deployment(
    site: Site, hub: Forge, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    follow(site, hub, monkeypatch)
    hub.faults += [replace(fault) for _ in range(50)]
    run_until(site, hub, lambda store: sum(bool(each.published.release) for each in store.states.all()) == 3)
    site.commit({"pkg/hello/file": "hello 2\n"})
    commit = site.remote.git("rev-parse", "HEAD")
    run_until(site, hub, lambda store: any(commit in each.published.revision for each in store.states.all()))

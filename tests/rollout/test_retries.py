"""A release that failed for a cause outside is tried once more, and that travels to the box."""

import json
from pathlib import Path

import pytest

from gitops.errors import TowerosError
from gitops.fleet import load_fleet
from gitops.model import EventType, Failure, Health, Phase, Report, Verdict
from gitops.publish.folder import Folder
from gitops.rollout import retries
from gitops.rollout.rules import Facts
from gitops.server.boxes.reports import ReportIn
from gitops.source import FolderTree
from gitops.store.notes.documents import Retries
from tests.kit.contracts import good
from tests.kit.fleets import repo
from tests.kit.published import kit

FAILED = Failure(2, "ef" * 32, Verdict.FAILED, "status 503", 5)


def said(*retried: str, counter: int = 1) -> Report:
    words = ("site-1", "boot", counter, 0, "1", 1, "ab" * 32, "cd" * 32, Phase.IDLE, Health.HEALTHY)
    return Report(*words, failures=(FAILED,), retried=retried)


def test_a_reason_of_git_and_one_of_an_operator_both_travel(tmp_path: Path) -> None:
    repo(tmp_path / "fleet")
    here = kit(tmp_path / "kit")
    fleet = load_fleet(FolderTree(tmp_path / "fleet"))
    name = sorted(fleet.boxes)[0]
    assert retries.reasons(fleet, here.store) == {}
    retries.retry(here.store, name, "ada", "the mast was down", 1_790_000_000)
    operator = "ada: the mast was down (2026-09-21 14:13:20 UTC)"
    assert retries.reasons(fleet, here.store) == {name: (operator,)}
    (event,) = here.store.events.latest(name)
    assert (event.type, event.reason, event.message) == (EventType.NORMAL, "Retry", "ada: the mast was down")
    repo(tmp_path / "git", **{"fleet.yaml": 'retry: "bob: new antenna"\n'})
    both = retries.reasons(load_fleet(FolderTree(tmp_path / "git")), here.store)
    assert both[name] == ("bob: new antenna", operator)
    here.publisher.publish([here.publication(name, 1)], retries=both)

    def custom() -> object:
        targets = here.signer.targets(Folder(here.store.paths.metadata).read)
        return targets[f"{name}/release.json"].custom.get("retry")

    assert custom() == ["bob: new antenna", operator]
    assert here.publisher.publish([], retries=both) == [], "the same words are no news"
    assert here.publisher.publish([here.publication(name, 2, b"two")], retries=both) and custom() == [*both[name]]
    assert here.publisher.publish([], retries={}) and custom() is None


def test_a_failure_stops_nobody_while_it_waits_to_be_tried_again(tmp_path: Path) -> None:
    store = kit(tmp_path / "kit").store
    failed = {"site-1": Facts(failed=frozenset({"c"})), "site-2": Facts(failed=frozenset({"c"}))}
    wanted = {"site-1": ("ada: x",)}
    assert retries.forgiven(failed, wanted, store) == failed, "nobody knows what it tried"
    store.boxes.save_report(said())
    assert retries.forgiven(failed, wanted, store)["site-1"].failed == frozenset()
    assert retries.forgiven(failed, wanted, store)["site-2"] == failed["site-2"]
    store.boxes.save_report(said("ada: x", counter=2))
    assert retries.forgiven(failed, wanted, store) == failed, "it was tried again, and failed again"
    assert retries.forgiven({}, wanted, store) == {}, "a box that is gone"


def test_a_box_whose_agent_knows_no_retry_is_not_forgiven_and_whoever_asks_is_told(tmp_path: Path) -> None:
    store = kit(tmp_path / "kit").store
    document = good("report", "went-back", box="site-1")
    del document["retried"]  # an agent of before
    assert store.boxes.save_report(ReportIn.model_validate_json(json.dumps(document)).noun())
    failed = {"site-1": Facts(failed=frozenset({"c"}))}
    assert retries.forgiven(failed, {"site-1": ("ada: x",)}, store) == failed, "nothing of it is tried again"
    with pytest.raises(TowerosError, match="the agent on site-1 is too old") as caught:
        retries.retry(store, "site-1", "ada", "x", 1)
    assert "commit" in caught.value.hint and store.notes.get(Retries) is None
    document |= {"retried": [], "counter": document["counter"] + 1}
    assert store.boxes.save_report(ReportIn.model_validate_json(json.dumps(document)).noun())
    assert retries.forgiven(failed, {"site-1": ("ada: x",)}, store)["site-1"].failed == frozenset()
    retries.retry(store, "site-1", "ada", "x", 1)


def test_the_same_reason_counts_again_once_the_box_has_heard_it(tmp_path: Path) -> None:
    store = kit(tmp_path / "kit").store
    assert retries.retry(store, "site-1", "ada", "x", 1), "nobody knows yet what it tried"
    assert not retries.retry(store, "site-1", "ada", "x", 2), "on its way"
    store.boxes.save_report(said("ben: of before"))
    assert not retries.retry(store, "site-1", "ada", "x", 3), "on its way still"
    store.boxes.save_report(said("ben: of before", "ada: x (1970-01-01 00:00:01 UTC)", counter=2))
    assert retries.retry(store, "site-1", "ada", "x", 4)
    assert retries.retry(store, "site-1", "ben", "x", 5) and retries.retry(store, "site-1", "ben", "y", 6)
    assert [each.message for each in store.events.latest("site-1")] == ["ben: y", "ben: x", "ada: x", "ada: x"]

"""What an operator named from the pages is a commit on a branch, and never one on the branch that deploys."""

import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from gitops.model.access.by import By
from gitops.model.machines.newcomer import code
from gitops.store.notes.adopting import Adoption, Adoptions
from gitops.store.notes.newcomers import Newcomer, Newcomers
from gitops.workflows.acting.acting import Acting, StaleError, audit_log
from gitops.workflows.acting.adopting import adopt
from gitops.workflows.updates.schedule import Updates
from tests.kit.site import Site
from tests.kit.updates import Branches, with_forge
from tests.simulators.forge import REPOSITORY, Forge, forge

KEY, NAME = "ab" * 32, "toweros/adopt-mast"
NOW = int(time.time())


class Asked:
    """A fleet with a forge, and a machine that waits for a name."""

    def __init__(self, site: Site, hub: Forge) -> None:
        self.site, self.hub, self.refs = site, hub, Branches(site)
        site.run()
        site.store.notes.put(Newcomers({KEY: Newcomer("vm", NOW, NOW, "192.0.2.9")}))
        self.acting = Acting(site.store, audit_log(site.store), By("ada", "account", "192.0.2.7"), NOW)

    def adopt(self, name: str = "mast", role: str = "") -> bool:
        return adopt(self.acting, code(KEY), name, role, "a `new` mast")

    def look(self) -> None:
        """A pass, and what comes after it, by a controller that was started anew."""
        controller, store, builder = self.site.start()
        with store.lease.held():
            done = controller.run_once()
            fleet = controller._load(done.revision)
            Updates(self.site.settings, store, builder, clock=lambda: NOW).run_due(fleet, done.revision)

    @property
    def row(self) -> Adoption:
        return (self.site.store.notes.get(Adoptions) or Adoptions()).rows[KEY]

    def git(self, *words: str) -> str:
        return self.site.remote.git(*words, cwd=self.site.remote.bare)


@pytest.fixture
def asked(site: Site) -> Iterator[Asked]:
    with forge() as hub:
        hub.branches = Branches(site)  # type: ignore[assignment]
        with_forge(SimpleNamespace(site=site), hub.url, REPOSITORY)  # type: ignore[arg-type]
        yield Asked(site, hub)


def test_a_name_is_proposed_once_and_settled_when_it_is_deployed(asked: Asked) -> None:
    main = asked.refs["main"]
    assert asked.adopt() and not asked.adopt(), "a second click"
    for _ in range(2):
        asked.look()
    assert asked.refs["main"] == main, "never the branch that deploys"
    assert asked.git("diff", "--name-status", "main", NAME) == "A\tboxes/mast.yaml"
    assert asked.git("show", f"{NAME}:boxes/mast.yaml") == f'role: vm\nhardware:\n  key: "{KEY}"'
    assert "ada: a `new` mast" in asked.git("log", "-1", "--format=%B", NAME)
    (pull,) = asked.hub.pulls
    assert asked.row.pushed and asked.row.pull == pull["number"] and "ada: a 'new' mast" in pull["body"]
    with pytest.raises(StaleError, match="proposed as"):
        asked.adopt("other")
    asked.site.commit({"boxes/mast.yaml": f'role: vm\nhardware:\n  key: "{KEY}"\n'})
    asked.look()
    assert asked.row.ended and asked.row.note == "it is deployed" and NAME not in asked.refs


def test_a_name_that_is_taken_meanwhile_and_a_strangers_branch_end_it(asked: Asked) -> None:
    asked.adopt()
    asked.git("branch", NAME, "main")
    asked.look()
    assert asked.row.ended and "none of ours" in asked.row.note and asked.refs[NAME] == asked.refs["main"]
    asked.adopt("late")
    asked.site.commit({"boxes/late.yaml": "role: vm\n"})
    asked.look()
    assert asked.row.ended and "another machine" in asked.row.note and "toweros/adopt-late" not in asked.refs


def test_a_fleet_repo_with_mistakes_gets_no_commit(asked: Asked) -> None:
    asked.adopt(role="no-such-role")
    asked.look()
    assert asked.row.ended and "mistakes" in asked.row.note and NAME not in asked.refs
    assert [event.type for event in asked.site.store.events.latest("") if event.reason == "Proposed"] == ["Warning"]


def test_killed_between_the_branch_and_the_pull_request_it_goes_on(asked: Asked) -> None:
    asked.adopt()
    asked.look()
    asked.site.store.notes.put(Adoptions({KEY: replace(asked.row, pushed=False, pull=0)}))
    asked.look()
    assert asked.row.pushed and asked.row.pull == 1 and len(asked.hub.pulls) == 1

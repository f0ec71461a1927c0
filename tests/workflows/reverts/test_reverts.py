"""A rollout that stopped is proposed to be taken back once, whatever happens in between, and by nobody else's hand."""

import functools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_policy
from gitops.forges.github import GitHub
from gitops.model import BoxState, Failure, Fleet, Policy, Revision, Verdict
from gitops.rollout.counting.standing import How
from gitops.source import FolderTree
from gitops.source.clone.pushing import Draft, PushClone
from gitops.store import LeaseError
from gitops.store.history.events import Events
from gitops.store.notes.notes import Notes
from gitops.workflows.reverts.nouns import Look, Taken
from gitops.workflows.reverts.text import text
from gitops.workflows.updates.desk import open_clone
from gitops.workflows.updates.schedule import Updates
from tests.kit.console import toweros
from tests.kit.remote import scratch
from tests.kit.site import HELLO, Site, first_commit, new_site
from tests.kit.updates import Branches, with_forge
from tests.simulators.forge import REPOSITORY, Fault, Forge, forge

SAYS = {"fleet.yaml": "source: {branch: main}\nrollout: {on_stop: propose}\n"}


class Stopping:
    """A fleet of which every look is by another controller."""

    def __init__(self, site: Site) -> None:
        self.site, self.refs, self.now = site, Branches(site), 1_795_000_000

    def passed(self) -> tuple[Fleet, Revision]:
        """A pass, and nothing after it."""
        controller, store, _ = self.site.start()
        with store.lease.held():
            done = controller.run_once()
        return controller._load(done.revision), done.revision

    def after(self, point: tuple[Fleet, Revision]) -> None:
        """What comes after a pass."""
        _, store, builder = self.site.start()
        with store.lease.held():
            Updates(self.site.settings, store, builder, clock=lambda: self.now).run_due(*point)

    def look(self) -> None:
        self.after(self.passed())

    def says_no(self, box: str, reason: str = "no answer", log: str = "") -> None:
        """The box went back from what it is offered."""
        self.site.report(box, failed=True)
        said = self.site.store.boxes.report(box)
        assert said
        failures = tuple(replace(each, reason=reason, log=log, time=self.now) for each in said.failures)
        assert self.site.store.boxes.save_report(replace(said, counter=said.counter + 1, failures=failures))

    def git(self, *words: str) -> str:
        return self.site.remote.git(*words, cwd=self.site.remote.bare)

    def tree(self, name: str) -> str:
        return self.git("rev-parse", f"{name}^{{tree}}")

    @property
    def reverts(self) -> list[str]:
        return [name for name in self.refs if name.startswith("toweros/revert-")]

    @property
    def events(self) -> list[str]:
        return [event.message for event in self.site.store.events.latest(limit=100) if event.reason == "Proposed"]

    def status(self) -> str:
        return " ".join(toweros("rollout", "status", "--state", self.site.settings.state).stderr.split())


@functools.cache
def made() -> tuple[Site, str]:
    """A fleet whose canary has refused the last commit, and nobody has looked since; made once per test process. And
    the commit before."""
    with pytest.MonkeyPatch.context() as patch:
        fleet = Stopping(new_site(scratch(), "", patch, first_commit()))
        fleet.site.commit(SAYS)
        for _ in range(2):
            fleet.look()
            for box in fleet.site.offers():
                fleet.site.report(box)
        before = fleet.refs["main"]
        fleet.site.commit(HELLO)
        fleet.look()
        fleet.says_no("a")
        fleet.passed()
    return fleet.site, before


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stopping:
    like, _ = made()
    site = new_site(tmp_path, "", monkeypatch, like.remote)
    shutil.copytree(like.settings.state, site.settings.state, symlinks=True)
    return Stopping(site)


@pytest.fixture
def hub(fleet: Stopping) -> Iterator[Forge]:
    with forge() as made_:
        made_.branches = fleet.refs  # type: ignore[assignment]
        with_forge(SimpleNamespace(site=fleet.site), made_.url, REPOSITORY)  # type: ignore[arg-type]
        yield made_


def test_a_rollout_that_stopped_is_a_branch_that_takes_back_what_stopped_it(fleet: Stopping) -> None:
    commit, (_, before) = fleet.refs["main"], made()
    fleet.look()
    (name,) = fleet.reverts
    assert name == f"toweros/revert-{commit[:12]}" and fleet.refs["main"] == commit, "nothing merges by itself"
    assert fleet.git("rev-parse", f"{name}^") == commit and fleet.tree(name) == fleet.tree(before)
    assert "The rollout stopped at a." in fleet.git("log", "-1", "--format=%b", name)
    assert f"{name}: proposed to take back what stopped it" in fleet.status()
    there = fleet.refs[name]
    fleet.look()
    assert fleet.refs[name] == there and len(fleet.events) == 1


def test_nobody_who_did_not_ask_for_it_gets_a_branch(fleet: Stopping) -> None:
    commit = {"fleet.yaml": "source: {branch: main}\nrollout: {on_stop: nothing}\n", "pkg/hello/file": "hello 3\n"}
    fleet.site.commit(commit)
    fleet.passed()
    fleet.says_no("a")
    fleet.look()
    assert not fleet.reverts and not fleet.events
    (fleet.site.remote.work / "fleet.yaml").write_text("rollout: {on_stop: merge}\n")
    with pytest.raises(FleetError, match="'nothing' or 'propose'"):
        load_policy(FolderTree(fleet.site.remote.work))


def test_a_pull_request_says_which_boxes_and_why_and_nothing_of_a_box_is_markup(fleet: Stopping, hub: Forge) -> None:
    hostile = "@everyone [x](https://evil.example) `</li>` #1"
    fleet.says_no("a", hostile, "".join(f"line {number}\n" for number in range(40)) + f"```\n{hostile}\n")
    fleet.look()
    (pull,) = hub.pulls
    commit = fleet.refs["main"]
    assert pull["title"] == f"revert: take back {commit[:12]}" and pull["head"]["ref"] == fleet.reverts[0]
    rows = pull["body"].splitlines()
    assert f"The rollout of {commit} stopped." in rows, "a whole id is a link on every forge"
    assert "- `role vm: 1 failed, 0 may be`" in rows
    harmless = "`@everyone [x](https://evil.example) '</li>' #1`"
    assert f"- **a** failed: {harmless}" in rows and f"  - {harmless}" in rows
    assert "  - `line 39`" in rows and "  - `line 26`" not in rows and "```" not in rows
    assert "pull request 1" in fleet.status()
    fleet.look()
    assert len(hub.asked("POST")) == 1 and len(fleet.events) == 1


def test_what_thousands_of_boxes_say_fits_into_one_pull_request() -> None:
    failure = Failure(1, "r", Verdict.FAILED, "x" * 5000, 1, "\n".join(["\N{FIRE}" * 4000] * 15))
    states = {f"box-{number}": BoxState(f"box-{number}", failures=(failure,)) for number in range(2000)}
    look = Look({"role vm: 2000 failed": dict.fromkeys(states, How.FAILED)}, states)
    rows = text(look, Taken("c", "revert", ("x" * 5000,), ()), "c" * 40, Policy()).splitlines()
    assert len("\n".join(rows).encode()) <= 65_536 and "- and 1997 more: `toweros status` names them" in rows


def test_a_lost_database_proposes_nothing_again(fleet: Stopping, hub: Forge) -> None:
    fleet.look()
    there = {name: fleet.refs[name] for name in fleet.reverts}
    hub.pulls[0]["state"] = "closed"  # whoever closed it has said no
    shutil.rmtree(fleet.site.settings.state)
    fleet.passed()
    fleet.site.report("a")
    fleet.says_no("a")
    fleet.now += 1
    fleet.look()
    assert len(hub.pulls) == 1 and {name: fleet.refs[name] for name in fleet.reverts} == there
    assert "pull request 1" in fleet.status()


class KilledError(BaseException):
    """The process is gone."""


@contextmanager
def killed_at(number: int) -> Iterator[None]:
    """Before or after the step of this number: a write of the store, a push, a word to the forge."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if done > number:
            raise KilledError

    def stepping(act: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **named: object) -> object:
            step()
            result = act(*arguments, **named)
            step()
            return result

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((Notes, "change"), (PushClone, "_send"), (GitHub, "propose"), (Events, "add")):
            patch.setattr(owner, name, stepping(getattr(owner, name)))
        yield


def test_a_controller_that_is_killed_at_any_step_is_made_up_by_the_next(fleet: Stopping, hub: Forge) -> None:
    point, ids = fleet.passed(), set[str]()
    for number in range(40):
        fleet.now += 1  # it would be another commit, if it were made again
        try:
            with killed_at(number):
                fleet.after(point)
            break
        except KilledError:
            ids |= {fleet.refs[name] for name in fleet.reverts}
    assert 5 < number < 39 and len(ids) == len(hub.pulls) == len(fleet.reverts) == 1


def test_a_controller_that_lost_its_lease_pushes_nothing(fleet: Stopping) -> None:
    point = fleet.passed()
    _, store, builder = fleet.site.start()
    with store.lease.held():
        with fleet.site.store.lease.write() as connection:  # another one took over
            connection.exec_driver_sql("UPDATE leases SET token = token + 1")
        with pytest.raises(LeaseError):
            Updates(fleet.site.settings, store, builder).run_due(*point)
    assert not fleet.reverts


def unsigned(fleet: Stopping) -> str:
    """A commit of somebody's that says what ours would."""
    subject = f"revert: take back {fleet.refs['main'][:12]}"
    fleet.site.remote.git("commit", "-q", "--allow-empty", "-m", subject)
    return fleet.site.remote.git("rev-parse", "HEAD")


def replayed(fleet: Stopping) -> str:
    """A commit that our key signed for something else."""
    clone = open_clone(fleet.site.settings, fleet.site.store)()
    commit = clone.commit(Draft(clone.fetch("main"), {"docs.md": b"x"}, "locks: openssl 1 -> 2\n", 1))
    clone.push("refs/heads/other", commit, "")
    fleet.site.remote.git("fetch", "-q", "origin")
    return commit


@pytest.mark.parametrize("made_by", [unsigned, replayed])
def test_a_branch_of_that_name_that_is_not_ours_is_left_alone(
    fleet: Stopping, hub: Forge, made_by: Callable[[Stopping], str]
) -> None:
    name, theirs = f"toweros/revert-{fleet.refs['main'][:12]}", made_by(fleet)
    fleet.site.remote.git("push", "-q", "origin", f"{theirs}:refs/heads/{name}")
    point = fleet.passed()
    for _ in range(2):
        fleet.after(point)
    assert fleet.refs[name] == theirs and not hub.pulls and len(fleet.events) == 1
    assert "did not sign it" in fleet.status()


def test_a_branch_that_people_removed_does_not_come_back(fleet: Stopping) -> None:
    fleet.look()
    fleet.git("update-ref", "-d", f"refs/heads/{fleet.reverts[0]}")
    fleet.look()
    assert not fleet.reverts


def test_what_was_deployed_on_top_stays(fleet: Stopping) -> None:
    fleet.site.commit({"docs.md": "news\n"})
    fleet.look()
    (name,) = fleet.reverts
    assert name == f"toweros/revert-{fleet.refs['main'][:12]}", "it stands on what is deployed"
    assert fleet.git("show", f"{name}:docs.md") == "news" and fleet.git("show", f"{name}:pkg/hello/file") == "hello"


def test_one_push_of_several_commits_is_taken_back_as_a_whole(fleet: Stopping) -> None:
    before, (site, git) = fleet.tree("main"), (fleet.site, fleet.site.remote.git)
    (site.remote.work / "pkg/hello/file").write_text("hello 3\n")
    git("commit", "-qam", "one")
    site.commit({"docs.md": "two\n"})
    fleet.passed()
    fleet.says_no("a")
    fleet.look()
    (name,) = fleet.reverts
    assert fleet.git("rev-parse", f"{name}^") == fleet.refs["main"] and fleet.tree(name) == before


def test_what_does_not_apply_cleanly_is_said_and_not_proposed(fleet: Stopping, hub: Forge) -> None:
    fleet.site.commit({"docs.md": "one\n", "pkg/hello/file": "hello 3\n"})
    fleet.passed()
    fleet.says_no("a")
    fleet.site.commit({"docs.md": "another\n"})
    for _ in range(2):
        fleet.look()
    assert not fleet.reverts and not hub.pulls
    (said,) = fleet.events
    assert "what was deployed since changed the same lines: docs.md; nothing is proposed" in said
    assert "the same lines: docs.md" in fleet.status()


def test_locks_are_never_mixed(fleet: Stopping) -> None:
    rows = [f"row {number}\n" for number in range(20)]
    fleet.site.commit({"docs.lock": "".join(rows)})
    fleet.look()
    rows[0] = "new\n"
    fleet.site.commit({"docs.lock": "".join(rows), "pkg/hello/file": "hello 3\n"})
    fleet.passed()
    fleet.says_no("a")
    rows[19] = "new\n"
    fleet.site.commit({"docs.lock": "".join(rows)})
    fleet.look()
    assert not fleet.reverts and "the same locks, which are never mixed: docs.lock" in fleet.events[0]


def test_what_would_be_no_fleet_repo_is_said_and_not_proposed(fleet: Stopping) -> None:
    fleet.site.commit({"roles/new.yaml": "boot: [boot/a.yml]\n", "pkg/hello/file": "hello 3\n"})
    fleet.passed()
    fleet.says_no("a")
    fleet.site.commit({"boxes/d.yaml": "role: new\n"})
    fleet.look()
    assert not fleet.reverts and "the fleet repo has mistakes: boxes/d.yaml" in fleet.events[0]


def test_nothing_is_proposed_while_the_branch_has_moved_on(fleet: Stopping) -> None:
    point = fleet.passed()
    fleet.site.commit({"pkg/hello/file": "mended\n"})
    fleet.after(point)
    assert not fleet.reverts and not fleet.events
    fleet.look()
    assert not fleet.reverts, "nobody has refused that one"


def test_what_goes_on_is_closed_and_never_proposed_again(fleet: Stopping, hub: Forge) -> None:
    fleet.look()
    fleet.site.report("a")  # it was tried again, and runs
    fleet.look()
    assert not fleet.reverts and hub.pulls[0]["state"] == "closed"
    assert "obsolete: the rollout goes on" in fleet.status()
    fleet.says_no("a")
    fleet.look()
    assert not fleet.reverts and len(hub.pulls) == 1


def test_another_commit_closes_it(fleet: Stopping, hub: Forge) -> None:
    fleet.look()
    fleet.site.commit({"pkg/hello/file": "mended\n"})
    hub.faults.append(Fault(503))
    fleet.look()
    assert hub.pulls[0]["state"] == "open", "the forge is away"
    fleet.now += 4000
    fleet.look()
    assert not fleet.reverts and hub.pulls[0]["state"] == "closed"
    assert [each for each in fleet.events if "obsolete: another commit is deployed" in each]


def test_keys_that_were_taken_out_do_not_come_back(fleet: Stopping, hub: Forge) -> None:
    fleet.site.commit({"keys/authorized_keys": "ssh-ed25519 BBBB ben\n", "pkg/hello/file": "hello 3\n"})
    fleet.passed()
    fleet.says_no("a")
    fleet.look()
    (name,) = fleet.reverts
    assert fleet.git("show", f"{name}:keys/authorized_keys") == "ssh-ed25519 BBBB ben"
    assert fleet.git("show", f"{name}:pkg/hello/file") == "hello 2"
    assert "`keys/` stay" in hub.pulls[0]["body"]


def test_what_stopped_a_rollout_is_not_brought_back_by_the_next(fleet: Stopping) -> None:
    fleet.look()
    git = fleet.site.remote.git
    git("fetch", "-q", "origin")
    git("merge", "-q", "--no-ff", "-m", "take it back", f"origin/{fleet.reverts[0]}")
    git("push", "-q", "origin", "HEAD")
    fleet.passed()
    fleet.says_no("a")
    fleet.look()
    assert not fleet.reverts and "would bring back what stopped a rollout before" in fleet.events[0]


def test_a_remote_that_does_not_let_us_is_said_once(fleet: Stopping, monkeypatch: pytest.MonkeyPatch) -> None:
    (fleet.site.remote.bare / "hooks").mkdir(exist_ok=True)
    with monkeypatch.context() as patch:
        patch.setattr(PushClone, "_send", lambda *_: (_ for _ in ()).throw(OSError("no route")))
        for _ in range(2):
            fleet.look()
            fleet.now += 4000
    said = [each.message for each in fleet.site.store.events.latest(limit=100) if each.reason == "Updates"]
    assert any("no route" in each for each in said)
    fleet.look()
    assert len(fleet.reverts) == 1

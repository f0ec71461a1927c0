"""Pull requests that are meant to cost: each is ended, told so, and the next one has its turn."""

import signal
import subprocess
import sys
from pathlib import Path

import pygit2
import pytest

from gitops import process
from gitops.errors import FleetError, SourceError, TowerosError
from gitops.forges.forge import Pull
from gitops.source.clone.pulls import PullClone
from gitops.source.clone.remote import Access
from gitops.store import Store
from gitops.store.notes.documents import ForgeMemory
from gitops.workflows.reviews import reviewer, stranger
from gitops.workflows.reviews.rounds import Reviews
from tests.kit.desk import ONE, TWO, Desk
from tests.kit.fleets import IMAGE
from tests.kit.people import People, people
from tests.kit.pulls import fleet_and_revision, push_pull, reviews
from tests.kit.remote import Remote
from tests.simulators.forge import Forge
from tests.simulators.https import TOKEN, GitHttps

__all__ = ["people", "reviews"]
Story = tuple[Reviews, Store, Remote]


def leftovers(store: Store) -> list[str]:
    return [path.name for path in store.paths.root.glob(".pull-*")]


def pull(number: int, head: str) -> Pull:
    return Pull(number, head, "main", True, f"refs/pull/{number}/head")


def heavy(remote: Remote) -> None:
    """A megabyte of YAML, 32 times: a few KiB of packs, and each of its words has a place in a file."""
    words = ", ".join(f"a{number}=1" for number in range(49_000))
    text = f"services: [{{name: x, image: {IMAGE}, env: [{words}]}}]\n"
    names = [f"boot/x{number}.yml" for number in range(32)]
    for name in names:
        (remote.work / name).write_text(text)
    (remote.work / "roles/heavy.yaml").write_text(f"boot: [{', '.join(names)}]\n")


def test_what_takes_too_much_memory_is_told_and_the_next_one_has_its_turn(reviews: Story, hub: Forge) -> None:
    speaker, store, remote = reviews
    good = push_pull(remote, 8, {"pkg/hello/file": "new"})
    remote.git("checkout", "-q", "main")
    heavy(remote)
    bomb = push_pull(remote, 7, {})
    hub.pull(7, bomb, fork=True)
    hub.pull(8, good, fork=True)
    fleet, revision = fleet_and_revision(remote)
    speaker.round(fleet, revision)
    assert "takes more than 256 MiB" in hub.ours(7)[0] and hub.state(bomb, "toweros/plan")[0] == "failure"
    assert "pkg/hello/file changed" in hub.ours(8)[0] and hub.state(good, "toweros/plan")[0] == "success"
    assert (store.notes.get(ForgeMemory) or ForgeMemory()).error == "", "no fault of the forge's"
    asked = len(hub.requests)
    speaker.round(fleet, revision)
    assert {request.method for request in hub.requests[asked:]} == {"GET"}, "and it is not planned again"


def test_a_file_of_zeros_is_refused_for_its_size(reviews: Story) -> None:
    """A hundred kilobytes of what a stranger pushes are 100 MiB for whoever unpacks them."""
    speaker, store, remote = reviews
    with (remote.work / "zeros").open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(TowerosError, match="104857600 bytes are too many"):
        speaker.plan(pull(7, push_pull(remote, 7, {})), False)
    assert leftovers(store) == []


def test_what_takes_too_long_is_ended(reviews: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    speaker, store, remote = reviews
    head = push_pull(remote, 7, {"pkg/hello/file": "new"})
    monkeypatch.setattr(stranger, "PATIENCE", 0.05)
    with pytest.raises(SourceError, match="planning it takes more than") as caught:
        speaker.plan(pull(7, head), False)
    assert not caught.value.transient and leftovers(store) == []


SMALL = "from gitops.workflows.reviews import stranger; stranger.MEMORY = {} << 20; stranger.main()"


def test_memory_that_ends_somewhere_in_git_is_told_as_that(reviews: Story, tmp_path: Path) -> None:
    """libgit2 has many words for it ("failed to init zlib stream"); 200,000 empty commits end so at 256 MiB."""
    speaker, store, remote = reviews
    PullClone(Access.of(speaker._settings), store.paths.review).follow("main")
    commit = "commit refs/pull/7/head\ncommitter a <a@b> 1700000000 +0000\ndata 0\n\n"
    begin = commit.replace("data 0\n", f"data 0\nfrom {remote.git('rev-parse', 'main', cwd=remote.bare)}\n")
    remote.git("fast-import", "--quiet", cwd=remote.bare, stdin=begin + commit * 12_000)
    many = pull(7, remote.git("rev-parse", "refs/pull/7/head", cwd=remote.bare))
    question = stranger.asked(speaker._settings, many, tmp_path)
    done = subprocess.run([sys.executable, "-c", SMALL.format(124)], input=question, capture_output=True, timeout=100)
    # A library that does not look at what malloc(3) gave ends by a signal, which is told as the bound, too.
    assert done.returncode in (stranger.PASSED, -signal.SIGSEGV), done.stderr[-500:]


def test_what_a_stranger_pushed_is_gone_afterwards(reviews: Story, tmp_path: Path) -> None:
    """By https; and so is what an older version kept of strangers."""
    speaker, store, remote = reviews
    head, clone = push_pull(remote, 7, {"pkg/hello/file": "new"}), store.paths.review / "clone.git"
    remote.git("clone", "-q", "--bare", str(remote.bare), str(clone), cwd=remote.bare)
    remote.git("fetch", "-q", str(remote.bare), "refs/pull/7/head:refs/toweros/pull", cwd=clone)
    (tmp_path / "git-token").write_text(TOKEN)
    with GitHttps(tmp_path / "https", tmp_path) as server:
        words = {"repository": server.url("remote.git"), "git_token_file": tmp_path / "git-token"}
        speaker._settings = speaker._settings.model_copy(update=words)
        pygit2.settings.set_ssl_cert_locations(str(server.certificate), None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(process, "ENVIRONMENT", (*process.ENVIRONMENT, "SSL_CERT_FILE"))
            patch.setenv("SSL_CERT_FILE", str(server.certificate))
            summary = speaker.plan(pull(7, head), False)
    assert [step.subject for step in summary.builds] == ["pkg/hello"]
    objects = remote.git("cat-file", "--batch-check", "--batch-all-objects", cwd=clone)
    assert head not in objects and remote.git("rev-parse", "main", cwd=remote.bare) in objects
    assert leftovers(store) == []


def test_what_the_process_logs_is_no_part_of_its_answer(reviews: Story, people: People) -> None:
    """It starts ssh-keygen for a signed head, and says so in its log."""
    speaker, _, remote = reviews
    signers = remote.work.parent / "signers"
    signers.write_text(people.allowed("ada"))
    speaker._settings = speaker._settings.model_copy(update={"allowed_signers": signers})
    remote.git("config", "user.signingkey", str(people.key("ada")))
    remote.git("config", "commit.gpgsign", "true")
    summary = speaker.plan(pull(7, push_pull(remote, 7, {"pkg/hello/file": "new"})), False)
    assert summary.verdict.signers == ("ada",)


def test_a_head_that_is_not_there_holds_up_no_other(reviews: Story, hub: Forge) -> None:
    speaker, _, remote = reviews
    hub.pull(7, ONE, fork=True)
    hub.pull(8, push_pull(remote, 8, {"pkg/hello/file": "new"}), fork=True)
    speaker.round(*fleet_and_revision(remote))
    assert hub.ours(7) == [] and "pkg/hello/file changed" in hub.ours(8)[0]


def test_mistakes_come_through_the_pipe_as_they_are(reviews: Story) -> None:
    speaker, _, remote = reviews
    head = push_pull(remote, 7, {"boxes/one.yaml": "rol: vm\n", "boxes/two.yaml": "role: wm\n"})
    with pytest.raises(FleetError) as caught:
        speaker.plan(pull(7, head), False)
    assert {(each.file, each.line) for each in caught.value.problems} == {("boxes/one.yaml", 1), ("boxes/two.yaml", 1)}


def test_slow_plans_do_not_keep_the_rollout_from_being_told(
    desk: Desk, hub: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.pull(7, ONE)
    hub.pull(8, TWO)
    monkeypatch.setattr(reviewer, "ROUND", -1.0)
    desk.round()
    assert desk.planned == []
    monkeypatch.setattr(reviewer, "ROUND", 60.0)
    desk.round()
    assert [number for number, _ in desk.planned] == [7, 8]


def test_a_process_that_ended_by_itself_is_no_bound_that_was_passed(reviews: Story, tmp_path: Path) -> None:
    """A fault of ours is told as one: the last line of what the process said, and nothing of where it stands."""
    speaker, _, remote = reviews
    head = push_pull(remote, 7, {"pkg/hello/file": "new"})
    speaker._settings = speaker._settings.model_copy(update={"platform": "plan9/vax"})
    with pytest.raises(SourceError, match="it cannot be planned") as caught:
        speaker.plan(pull(7, head), False)
    assert str(tmp_path) not in f"{caught.value}"


def test_a_flood_of_strangers_holds_up_nobody_who_may_write_to_the_repository(desk: Desk, hub: Forge) -> None:
    for number in range(1, 2 * reviewer.PER_ROUND):
        hub.pull(number, f"{number:040x}", fork=True)
    hub.pull(99, ONE)
    desk.round()
    assert desk.planned[0] == (99, False) and len(desk.planned) == reviewer.PER_ROUND

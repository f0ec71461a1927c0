"""What was deployed last is the database's: who comes next goes on from it, whoever was overtaken writes nothing."""

from pathlib import Path

import pytest

from gitops.errors import SourceError
from gitops.source import Access, GitSource
from gitops.source.memory import StoredMemory
from gitops.source.trust.deployed import MAX_TAGS, Deployed
from gitops.source.trust.objects import read
from gitops.store import LeaseError, Store
from gitops.store.collect import collect
from gitops.store.notes.documents import LastDeployed
from tests.kit.databases import both
from tests.kit.remote import Remote
from tests.kit.trust import Story, as_0_1_0_left_it

LATER = 1e12


@both
def test_another_controller_goes_on_with_an_empty_clone_and_the_first_overwrites_nothing(
    tmp_path: Path, database: str
) -> None:
    remote = Remote(tmp_path)
    remote.commit("source: {branch: main}\n", path="fleet.yaml")
    first, second = (Store.open(tmp_path / "state", database) for _ in range(2))
    access = Access(str(remote.bare))
    sources = [GitSource(access, tmp_path / name, StoredMemory(store)) for name, store in (("1", first), ("2", second))]
    with first.lease.held():
        sources[0].mark_deployed(sources[0].poll())
    remote.commit("two")
    late = sources[0].poll()
    with second.lease.held():
        assert sources[1].poll().sequence == 2
        remote.commit("three")
        good = sources[1].poll()
        sources[1].mark_deployed(good)
        with pytest.raises(LeaseError):
            sources[0].mark_deployed(late)
        assert sources[0].deployed() == sources[1].deployed() == good
        remote.git("reset", "-q", "--hard", "HEAD~2")
        remote.commit("another two")
        with pytest.raises(SourceError, match="does not descend"):
            sources[1].poll()


def test_a_clone_that_is_fetched_again_holds_on_to_what_is_deployed(tmp_path: Path) -> None:
    """Nothing new comes from the remote, so nothing is written but the name of the commit."""
    remote = Remote(tmp_path)
    remote.commit("source: {branch: main}\n", path="fleet.yaml")
    memory = StoredMemory(Store.open(tmp_path / "state"))
    for name in ("1", "2"):
        source = GitSource(Access(str(remote.bare)), tmp_path / name, memory)
        source.mark_deployed(source.poll())
    revision = source.deployed()
    assert revision
    pinned = remote.git("rev-parse", "refs/toweros/deployed", cwd=tmp_path / "2" / "clone.git")
    assert pinned.strip() == revision.commit


def test_what_0_1_0_left_is_taken_over_once(tags: Story) -> None:
    memory = StoredMemory(tags.store)
    before = memory.last()
    assert before and list(before.tags) == ["v1.0.0"] and len(before.revision.evidence) == 2
    file = as_0_1_0_left_it(tags.store)
    assert memory.last() == before, "also before it is taken over"
    memory.take_over()
    assert tags.store.notes.get(LastDeployed) and memory.last() == before
    kinds = [read(tags.store.blobs.read(ref.sha256)).kind for ref in before.revision.evidence]
    assert kinds == ["commit", "tag"]
    assert not file.exists() and file.with_name("deployed.json.imported").exists()
    assert not (tags.store.paths.source / "evidence").exists()
    tags.commit("two", "ada")
    tags.tag("v1.1.0")
    assert tags.deploy() == "v1.1.0"
    file.write_text("{")
    memory.take_over()
    assert tags.source.poll().ref == "v1.1.0", "what is in the database counts, whatever lies there"
    tags.tag("v1.0.0", at="HEAD", force=True)
    tags.remote.git("push", "-q", "origin", ":refs/tags/v1.1.0")
    tags.refused("MovedTag")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"revision": {}}', '{"policy": {"sign": "quorum"}}'])
def test_a_damaged_file_of_0_1_0_is_an_error_and_stays(head: Story, text: str) -> None:
    file = as_0_1_0_left_it(head.store)
    file.write_text(text)
    for look in (StoredMemory(head.store).take_over, head.source.poll):
        with pytest.raises(SourceError, match=r"deployed\.json is damaged"):
            look()
    assert file.read_text() == text and head.store.notes.get(LastDeployed) is None


def test_what_proves_the_deployed_commit_stays_though_no_box_is_made_from_it(head: Story) -> None:
    head.commit("words", "ada")
    head.deploy()
    revision = head.source.deployed()
    assert revision and revision.evidence
    stray = head.store.blobs.put(b"nobody's")
    collect(head.store, (), now=LATER, grace=0)
    assert head.store.blobs.names() == {ref.sha256 for ref in revision.evidence}
    assert not head.store.blobs.has(stray.sha256)


def test_the_newest_tags_are_remembered_in_the_order_of_their_coming(tags: Story) -> None:
    memory = StoredMemory(tags.store)
    last = memory.last()
    assert last
    names = [f"v{number}.0.0" for number in range(MAX_TAGS, 1, -1)]
    memory.save(Deployed(last.revision, 0, last.policy, last.states, dict.fromkeys(names, "1" * 40)))
    again = memory.last()
    assert again and list(again.tags) == names
    for name in ("v1.1.0", "v1.2.0"):
        tags.commit(name, "ada")
        tags.tag(name)
        assert tags.deploy() == name
    newest = memory.last()
    assert newest and list(newest.tags) == [*names[1:], "v1.1.0", "v1.2.0"]

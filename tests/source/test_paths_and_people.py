"""Rules by path against every history, thresholds with `every-commit`, and who counts as one person."""

import shutil
from pathlib import Path

import pytest

from gitops.errors import SourceError
from gitops.source.clone.deploying import DeployingClone
from tests.kit.people import People
from tests.kit.trust import PgpStory, Story

RULES = "rules: [{paths: [keys, fleet.yaml, boxes], signers: [ben]}]"


def ruled(folder: Path, people: People, sign: str = "every-commit") -> Story:
    """Whoever is listed may change words, Ben alone boxes, keys and policy. Two states of a box were deployed."""
    story = Story(folder, people)
    story.commit(f"source: {{sign: {sign}, {RULES}}}\n", "ben", "fleet.yaml")
    story.commit("old", "ben", "boxes/a.yaml")
    story.deploy()
    story.commit("secured", "ben", "boxes/a.yaml")
    story.deploy()
    return story


def merge(story: Story, by: str, *parents: str) -> None:
    """A merge with the files of its first parent, pushed to main."""
    words = [word for parent in parents for word in ("-p", parent)]
    made = story.remote.git("commit-tree", f"-S{story.people.key(by)}", *words, "-m", "merge", f"{parents[0]}^{{tree}}")
    story.remote.git("push", "-q", "-f", "origin", f"{made.strip()}:refs/heads/main")


@pytest.mark.parametrize("by", ["ada", "ben"])
def test_a_merge_whose_first_parent_is_old_is_refused_whoever_signed_it(
    tmp_path: Path, people: People, by: str
) -> None:
    story = ruled(tmp_path, people)
    deployed = story.remote.git("rev-parse", "HEAD").strip()
    merge(story, by, f"{deployed}~1", deployed)
    assert "the other way round" in story.refused("NotFirstParent").hint


def test_no_commit_on_a_side_hides_an_old_first_parent(tmp_path: Path, people: People) -> None:
    """The merge takes in what is deployed, one commit of its own later; another is on top."""
    story = ruled(tmp_path, people)
    deployed = story.remote.git("rev-parse", "HEAD").strip()
    story.remote.git("reset", "-q", "--hard", f"{deployed}~1")
    harmless = story.commit("words", "ada")
    story.remote.git("checkout", "-q", deployed)
    side = story.remote.commit("more words", f"-S{people.key('ada')}", push=False)
    merge(story, "ada", harmless, side)
    story.remote.git("checkout", "-q", "main")
    story.remote.git("reset", "-q", "--hard", "origin/main")
    story.commit("on top", "ada")
    story.refused("NotFirstParent")


def test_with_head_a_merge_answers_for_all_that_it_undoes(tmp_path: Path, people: People) -> None:
    story = ruled(tmp_path, people, "head")
    deployed = story.remote.git("rev-parse", "HEAD").strip()
    merge(story, "ada", f"{deployed}~1", deployed)
    assert "boxes/a.yaml" in story.refused("RuleNotMet").message
    merge(story, "ben", f"{deployed}~1", deployed)
    assert story.source.poll().signers == ("ben",)


def test_a_merge_into_what_is_deployed_is_taken(tmp_path: Path, people: People) -> None:
    story = ruled(tmp_path, people)
    story.remote.git("checkout", "-q", "-b", "side", "HEAD~1")
    story.remote.commit("unsigned work", path="side", push=False)
    story.remote.git("checkout", "-q", "main")
    story.remote.git("merge", "-q", "--no-ff", f"-S{people.key('ada')}", "-m", "merge", "side")
    story.remote.git("push", "-q", "origin", "HEAD")
    assert story.source.poll().signers == ("ada",)


# --- epoch ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["head", "every-commit"])
def test_a_raised_epoch_keeps_the_rules_where_history_was_rewritten(tmp_path: Path, people: People, sign: str) -> None:
    story = ruled(tmp_path, people, sign)
    story.remote.git("reset", "-q", "--hard", "HEAD~1")
    story.commit("words", "ada")
    story.refused("NotDescending")
    story.source = story.started(epoch=5)
    assert "boxes/a.yaml" in _refused(story, 5)
    story.remote.git("commit", "-q", "--amend", f"-S{people.key('ben')}", "-m", "by Ben")
    story.remote.git("push", "-q", "-f", "origin", "HEAD")
    assert story.source.poll().signers == ("ben",)


@pytest.mark.parametrize("lost", [False, True], ids=["", "clone-lost"])
def test_a_raised_epoch_keeps_the_rules_for_another_repository(tmp_path: Path, people: People, lost: bool) -> None:
    story = ruled(tmp_path, people)
    story.remote.git("checkout", "-q", "--orphan", "fresh")
    story.remote.git("branch", "-D", "main")
    story.remote.git("branch", "-m", "main")
    (story.remote.work / "boxes/a.yaml").write_text("evil")
    story.commit("a new beginning", "ada")
    if lost:
        shutil.rmtree(story.store.paths.source / "clone.git")
    story.source = story.started(epoch=5)
    assert "needs one of ben" in _refused(story, 5)
    story.remote.git("commit", "-q", "--amend", f"-S{people.key('ben')}", "-m", "by Ben")
    story.remote.git("push", "-q", "-f", "origin", "HEAD")
    assert story.source.poll().signers == ("ben",)


def test_a_raised_epoch_keeps_the_threshold_for_another_repository(tmp_path: Path, people: People) -> None:
    """Two people answer for all that becomes different, however long the other history is."""
    story = Story(tmp_path, people)
    first = story.commit("source: {sign: every-commit, threshold: 2}\n", "ada", "fleet.yaml").strip()
    story.tag(f"approved/{first}/ben", "ben", first)
    story.deploy()
    story.remote.git("checkout", "-q", "--orphan", "fresh")
    story.remote.git("branch", "-D", "main")
    story.remote.git("branch", "-m", "main")
    story.commit("source: {sign: none}\n", path="fleet.yaml")
    head = story.commit("a new beginning", "ada").strip()
    with pytest.raises(SourceError) as caught:
        story.started(epoch=5).poll()
    assert caught.value.reason == "ThresholdNotMet"
    story.tag(f"approved/{head}/ben", "ben", head)
    assert story.started(epoch=5).poll().signers == ("ada", "ben")


def _refused(story: Story, epoch: int) -> str:
    with pytest.raises(SourceError) as caught:
        story.started(epoch=epoch).poll()
    assert caught.value.reason == "RuleNotMet", caught.value
    return caught.value.message


# --- thresholds -------------------------------------------------------------------------------------------------------


def test_a_threshold_goes_with_every_commit_and_release_tags(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    story.commit('source: {tags: "v*", sign: every-commit, threshold: 2}\n', "ada", "fleet.yaml")
    story.tag("v1.0.0")
    story.refused("ThresholdNotMet")
    story.tag("approved/v1.0.0/ben", "ben", at="v1.0.0^{}")
    assert story.deploy() == "v1.0.0"
    story.commit("unsigned")
    story.commit("two", "ada")
    story.tag("v2.0.0")
    story.tag("approved/v2.0.0/ben", "ben", at="v2.0.0^{}")
    story.refused("Unsigned")


def test_a_threshold_goes_with_every_commit_on_a_branch(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    commit = story.commit("source: {sign: every-commit, threshold: 2}\n", "ada", "fleet.yaml").strip()
    assert f"approved/{commit}/NAME" in story.refused("ThresholdNotMet").hint
    story.tag(f"approved/{commit}/ada", "ada", commit)
    story.refused("ThresholdNotMet")
    story.tag(f"approved/{commit}/ben", "ben", commit)
    assert story.source.poll().signers == ("ada", "ben"), "an approval is seen without a restart"
    story.deploy()
    story.commit("ben's", "ben")
    story.commit("ada's on top", "ada")
    story.refused("ThresholdNotMet")  # Ben did not see what Ada put on top


def test_a_limited_signer_on_top_is_none_of_the_people_for_what_is_below(tmp_path: Path, people: People) -> None:
    """One person alone, and a robot's next commit of its own files, were two people."""
    story = Story(tmp_path, people, "ada", "ben", "eve")
    limits = "limits: [{paths: [boxes/*.yaml], signers: [eve]}]"
    first = story.commit(f"source: {{sign: every-commit, threshold: 2, {limits}}}\n", "ada", "fleet.yaml").strip()
    for name in ("ada", "ben"):
        story.tag(f"approved/{first}/{name}", name, first)
    story.deploy()
    story.commit("source: {sign: every-commit, threshold: 1}\n", "ada", "fleet.yaml")
    top = story.commit("role: vm\n", "eve", "boxes/a.yaml").strip()
    story.tag(f"approved/{top}/ada", "ada", top)
    story.refused("ThresholdNotMet")
    story.tag(f"approved/{top}/ben", "ben", top)
    assert story.deploy()


LISTS = {
    "one key in two lines": lambda ada, eve: f"ada {ada}\nben {ada}\n",
    "two keys of a name": lambda ada, eve: f"ada {ada}\nada {eve}\n",
    "names of a line": lambda ada, eve: f"ada,ben {ada}\ncleo,ben {eve}\n",
    "over a third": lambda ada, eve: f"cleo {eve}\nada {ada}\nada,dan ssh-ed25519 AAAA\ndan,cleo ssh-ed25519 BBBB\n",
}


@pytest.mark.parametrize("said", LISTS.values(), ids=LISTS)
def test_one_person_with_two_keys_or_names_counts_once(tmp_path: Path, people: People, said: object) -> None:
    story = Story(tmp_path, people)
    story.commit('source: {tags: "v*", sign: tag, threshold: 2}\n', path="fleet.yaml")
    keys = (people.public("ada"), people.public("eve"))
    story.first.write_text(said(*keys))  # type: ignore[operator]
    story.source = story.started()
    story.tag("v1.0.0")
    story.tag("approved/v1.0.0/other", "eve", at="v1.0.0^{}")
    story.tag("approved/v1.0.0/self", "ada", at="v1.0.0^{}")
    story.refused("ThresholdNotMet")


@pytest.mark.parametrize("name", ["ada2", "ada@example.org"])
def test_one_openpgp_key_in_two_files_and_an_address_are_one_person(tmp_path: Path, people: People, name: str) -> None:
    story = PgpStory(tmp_path, people)
    (story.keys / "ada.asc").rename(story.keys / "other.asc")
    if name == "ada2":
        shutil.copy(story.keys / "other.asc", story.keys / "ada.asc")
    listed = "ada" if name == "ada2" else name
    story.first.write_text(people.allowed("eve").replace("eve ", f"{listed} ", 1))
    story.source = story.started()
    story.remote.commit('source: {tags: "v*", sign: tag, threshold: 2}\n', path="fleet.yaml")
    story.remote.git("tag", "-s", "-u", story.fingerprint, "-m", "v1.0.0", "v1.0.0")
    story.push("v1.0.0")
    story.remote.git("config", "gpg.format", "ssh")
    story.tag("approved/v1.0.0/again", "eve", at="v1.0.0^{}")
    story.refused("ThresholdNotMet")


def test_a_key_counts_under_each_of_its_names_for_rules_and_for_limits(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people, "ada", "ben")
    story.first.write_text(f"ada {people.public('ada')}\ncleo {people.public('ada')}\nlocks {people.public('ben')}\n")
    with story.first.open("a") as file:
        file.write(f"ben {people.public('ben')}\n")
    said = "rules: [{paths: [boxes], signers: [cleo]}], limits: [{paths: [images.lock], signers: [ben]}]"
    story.commit(f"source: {{sign: head, {said}}}\n", "ada", "fleet.yaml")
    story.deploy()
    story.commit("a", "ada", "boxes/a.yaml")
    assert story.deploy() == "main"
    story.commit("evil", "ben")
    story.refused("BeyondLimit")


def test_nothing_is_asked_of_a_deployed_commit_again(
    tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = ruled(tmp_path, people)
    monkeypatch.setattr(DeployingClone, "since", None)
    assert story.started().poll().signers == ("ben",)

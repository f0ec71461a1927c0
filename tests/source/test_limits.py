"""What somebody who has the controller's own key can do with it: change locks, and nothing else."""

from pathlib import Path

import pytest

from gitops.model import Policy
from gitops.source.trust.rules import source_part
from tests.kit.people import People
from tests.kit.trust import Story

LIMIT = 'limits: [{paths: ["**/packages.lock"], signers: [eve]}]'
LOCK = "pkg/a/packages.lock"


def limited(folder: Path, people: People, sign: str, more: str = "") -> Story:
    """Eve is the controller: her key is listed, for locks alone."""
    story = Story(folder, people)
    story.commit(people.allowed("ada", "ben", "eve"), "ada", "keys/allowed_signers")
    story.commit(f"source: {{sign: {sign}, {LIMIT}{more}}}\n", "ada", "fleet.yaml")
    story.deploy()
    return story


@pytest.fixture(params=["head", "every-commit"])
def story(request: pytest.FixtureRequest, tmp_path: Path, people: People) -> Story:
    return limited(tmp_path, people, request.param)


def test_a_lock_alone_may_change(story: Story) -> None:
    story.commit("one", "eve", LOCK)
    assert story.deploy() == "main" and story.source.poll().signers == ("eve",)


@pytest.mark.parametrize(
    "path",
    [
        "fleet.yaml",
        "keys/allowed_signers",
        "keys/packages.lock",
        "keys/openpgp/packages.lock/eve.asc",
        "pkg/a/packages.lock/evil",
        "pkg/a/packages.lock.new",
        "pkg/a/Dockerfile",
        "boxes/packages.lock.yaml",
    ],
)
def test_any_other_file_is_refused(story: Story, path: str) -> None:
    text = "source: {sign: none}\n" if path == "fleet.yaml" else "evil"
    story.commit(text, "eve", path)
    assert path in story.refused("BeyondLimit").message


def test_a_limit_is_not_lifted_beside_a_lock(story: Story) -> None:
    story.commit("one", "eve", LOCK)
    story.deploy()
    (story.remote.work / "fleet.yaml").write_text("source: {sign: head}\n")
    story.commit("two", "eve", LOCK)
    assert "fleet.yaml" in story.refused("BeyondLimit").message


def test_a_lock_on_top_vouches_for_nothing_below_it(tmp_path: Path, people: People) -> None:
    """Whoever may push puts an unsigned change below the controller's next commit."""
    story = limited(tmp_path, people, "head")
    story.commit("evil", "", "boxes/a.yaml")
    story.commit("one", "eve", LOCK)
    assert "boxes/a.yaml" in story.refused("BeyondLimit").message
    story.commit("said", "ada")
    assert story.deploy() == "main", "a person answers for all of it"


def test_a_merge_by_a_limited_key_brings_nothing_in(tmp_path: Path, people: People) -> None:
    story = limited(tmp_path, people, "every-commit")
    story.remote.git("checkout", "-q", "-b", "side")
    story.commit("evil", "", "boxes/a.yaml")
    story.remote.git("checkout", "-q", "main")
    story.remote.git("merge", "-q", "--no-ff", f"-S{people.key('eve')}", "-m", "merge", "side")
    story.remote.git("push", "-q", "origin", "main")
    assert "boxes/a.yaml" in story.refused("BeyondLimit").message


def test_the_first_commit_is_not_a_limited_key_s(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people, "ada", "eve")
    story.commit(people.allowed("ada", "eve"), "ada", "keys/allowed_signers")
    story.commit(f"source: {{sign: head, {LIMIT}}}\n", "eve", "fleet.yaml")
    story.refused("BeyondLimit")


def tagged(folder: Path, people: People) -> Story:
    story = Story(folder, people)
    story.commit(people.allowed("ada", "ben", "eve"), path="keys/allowed_signers")
    story.commit(f'source: {{tags: "v*", sign: tag, {LIMIT}}}\n', path="fleet.yaml")
    story.tag("v1.0.0")
    story.deploy()
    return story


def test_a_release_tag_by_a_limited_key_holds_for_locks_alone(tmp_path: Path, people: People) -> None:
    story = tagged(tmp_path, people)
    story.commit("one", "eve", LOCK)
    story.tag("v1.0.1", "eve")
    assert story.deploy() == "v1.0.1"
    story.commit("evil", "", "boxes/a.yaml")
    story.tag("v1.0.2", "eve")
    assert "boxes/a.yaml" in story.refused("BeyondLimit").message


def test_an_approval_by_a_limited_key_neither_counts_nor_stops_a_release(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    story.commit(people.allowed("ada", "ben", "eve"), path="keys/allowed_signers")
    story.commit(f'source: {{tags: "v*", sign: tag, threshold: 2, {LIMIT}}}\n', path="fleet.yaml")
    story.tag("v1.0.0")
    story.tag("approved/v1.0.0/ben", "ben", "v1.0.0^{}")
    story.deploy()
    story.commit("words")
    story.tag("v1.0.1")
    story.tag("approved/v1.0.1/eve", "eve", "v1.0.1^{}")
    story.refused("ThresholdNotMet")
    story.tag("approved/v1.0.1/ben", "ben", "v1.0.1^{}")
    assert story.deploy() == "v1.0.1"


def test_a_limit_survives_a_restart(story: Story) -> None:
    story.source = story.started()
    story.commit("evil", "eve", "boxes/a.yaml")
    story.refused("BeyondLimit")


def test_a_policy_without_limits_keeps_the_name_of_its_state() -> None:
    assert "limits" not in source_part(Policy())

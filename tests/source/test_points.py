"""What a pin may name: the history of what was accepted, and tags whose signer counts."""

import pytest

from gitops.errors import Reason, SourceError
from gitops.source.points import History
from tests.kit.trust import Story


def history(story: Story) -> History:
    source = story.started()
    return source.history(source.poll())


def refused(story: Story, name: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        history(story).commit(name)
    return caught.value


def test_a_commit_of_the_history_counts_and_no_other(head: Story) -> None:
    old = head.commit("one\n", "ada")
    head.deploy()
    head.commit("two\n", "ada")
    assert history(head).commit(old) == old
    newer = head.remote.commit("three\n", f"-S{head.people.key('ada')}", push=False)
    assert "is no commit before" in refused(head, newer).message
    assert "is no commit before" in refused(head, "0" * 40).message


def test_whoever_may_only_push_tags_moves_no_box(head: Story) -> None:
    head.commit("one\n", "ada")
    head.tag("v1", "ada")
    head.tag("v2", "")
    head.tag("v3", "eve")
    head.remote.git("tag", "v4")
    head.push("v4")
    assert history(head).commit("v1")
    assert refused(head, "v2").reason is Reason.unsigned
    assert refused(head, "v3").reason is Reason.unknown_key
    assert refused(head, "v4").reason is Reason.lightweight_tag
    assert refused(head, "v5").reason is Reason.no_release


def test_a_tag_under_another_name_is_not_that_tag(head: Story) -> None:
    head.tag("v1", "ada")
    head.push_object("tag", head.raw("tag", "v1"), "refs/tags/v2")
    assert refused(head, "v2").reason is Reason.renamed_tag


def test_with_release_tags_an_older_release_can_be_named(tags: Story) -> None:
    tags.commit("two\n")
    tags.tag("v1.1.0")
    found = history(tags)
    assert found.revision.ref == "v1.1.0"
    assert found.commit("v1.0.0") != found.revision.commit
    assert found.sequence(found.commit("v1.0.0")) == found.revision.sequence - 1

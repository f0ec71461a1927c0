"""Who may change what: every refusal by its name, with remotes and signatures of the real tools."""

from pathlib import Path

import pytest

from gitops.errors import FleetError, SourceError
from gitops.fleet import load_policy
from gitops.model import PathRule
from gitops.source import Access, FolderTree
from gitops.source.trust.objects import read
from tests.kit.people import People
from tests.kit.trust import PgpStory, Story, following

# --- release tags -----------------------------------------------------------------------------------------------------


def test_the_highest_version_that_verifies_is_taken_and_the_others_raise_an_alarm(tags: Story) -> None:
    for number, by in (("v1.9.0", "ada"), ("v1.10.0", "ben"), ("v1.11.0-rc.1", "ada"), ("v2.0.0", "eve")):
        tags.commit(number)
        tags.tag(number, by)
    revision = tags.source.poll()
    assert (revision.ref, revision.signers, revision.tagged) == ("v1.11.0-rc.1", ("ada",), True)
    assert [alarm.reason for alarm in tags.source.alarms if isinstance(alarm, SourceError)] == ["UnknownKey"]
    tags.source.mark_deployed(revision)
    tags.refused("UnknownKey")


def test_a_lightweight_tag_is_refused(tags: Story) -> None:
    tags.commit("two", "ada")
    tags.remote.git("tag", "v1.1.0")
    tags.push("v1.1.0")
    tags.refused("LightweightTag")


def test_a_nested_tag_is_refused(tags: Story) -> None:
    tags.commit("two")
    tags.tag("inner")
    tags.tag("v1.1.0", at="inner")
    tags.refused("NestedTag")


def test_a_moved_tag_is_refused(tags: Story) -> None:
    tags.commit("two")
    tags.tag("v1.0.0", force=True)
    tags.refused("MovedTag")


def test_a_signed_tag_under_another_name_is_refused(tags: Story) -> None:
    tags.commit("two")
    tags.tag("v0.9.0-test")
    tags.remote.git("push", "-q", "origin", "refs/tags/v0.9.0-test:refs/tags/v3.0.0")
    assert "v0.9.0-test" in tags.refused("RenamedTag").message


def test_a_tag_on_something_that_is_not_a_commit_is_refused(tags: Story) -> None:
    tags.tag("v1.1.0", at="HEAD^{tree}")
    tags.refused("TagOfNoCommit")
    tags.tag("v1.2.0", at="HEAD:fleet.yaml")
    tags.refused("TagOfNoCommit")


def test_an_unsigned_tag_is_refused(tags: Story) -> None:
    tags.commit("two", "ada")
    tags.tag("v1.1.0", by="")
    tags.refused("Unsigned")


def test_a_version_lower_than_the_deployed_one_is_refused(tags: Story) -> None:
    tags.commit("two")
    tags.tag("v0.9.0")
    assert tags.source.poll().ref == "v1.0.0"
    tags.remote.git("push", "-q", "origin", ":refs/tags/v1.0.0")
    tags.refused("LowerVersion")


def test_a_higher_version_on_older_history_is_refused(tags: Story) -> None:
    tags.commit("two")
    tags.tag("v1.1.0")
    tags.deploy()
    tags.tag("v1.2.0", at="HEAD~1")
    tags.refused("NotDescending")


def test_a_remote_without_release_tags_is_refused(tags: Story) -> None:
    tags.remote.git("push", "-q", "origin", ":refs/tags/v1.0.0")
    tags.refused("NoRelease")


def test_a_new_tag_on_the_deployed_commit_is_judged_too(tags: Story) -> None:
    tags.tag("v1.1.0", by="eve")
    tags.refused("UnknownKey")


# --- commits ----------------------------------------------------------------------------------------------------------


def test_an_unsigned_commit_is_refused(head: Story) -> None:
    head.commit("two")
    head.refused("Unsigned")


def test_an_unknown_key_is_refused(head: Story) -> None:
    head.commit("two", "eve")
    head.refused("UnknownKey")


def test_a_signature_for_another_purpose_is_refused(head: Story) -> None:
    head.first.write_text(head.people.allowed("ada", options='namespaces="file"'))
    head.commit("two", "ada")
    head.refused("UnknownKey")


@pytest.mark.parametrize("options", ['valid-before="20200101"', 'namespaces="git",valid-after="20900101"'])
def test_an_expired_key_is_refused(head: Story, options: str) -> None:
    head.first.write_text(head.people.allowed("ada", options=options))
    head.commit("two", "ada")
    head.refused("ExpiredKey")


def test_a_revoked_key_is_refused(head: Story) -> None:
    head.commit(head.people.allowed("ada", "ben"), "ada", "keys/allowed_signers")
    head.commit(head.people.public("ada") + "\n", "ben", "keys/revoked_keys")
    head.deploy()
    head.commit("two", "ada")
    head.refused("RevokedKey")


def test_words_that_were_not_signed_are_refused(head: Story) -> None:
    head.commit("two", "ada")
    head.push_object("commit", head.raw("commit", "HEAD").replace(b"say two", b"say six"), "refs/heads/main")
    head.refused("BadSignature")


def test_two_signature_headers_are_refused(head: Story) -> None:
    head.commit("two", "ada")
    raw = head.raw("commit", "HEAD")
    start, end = raw.index(b"gpgsig "), raw.index(b"\n\n") + 1
    head.push_object("commit", raw[:end] + raw[start:end] + raw[end:], "refs/heads/main")
    head.refused("SeveralSignatures")


def test_a_tag_with_two_signatures_is_refused(tags: Story) -> None:
    tags.commit("two")
    tags.tag("v1.1.0")
    raw = tags.raw("tag", "v1.1.0")
    tags.push_object("tag", raw + raw[raw.index(b"-----BEGIN") :], "refs/tags/v1.1.0")
    tags.refused("SeveralSignatures")


def test_history_that_does_not_descend_is_refused(head: Story) -> None:
    head.commit("two", "ada")
    head.deploy()
    head.remote.git("reset", "-q", "--hard", "HEAD~1")
    head.commit("other two", "ada")
    head.refused("NotDescending")


def test_a_repository_replaced_by_another_is_refused(head: Story) -> None:
    head.remote.git("checkout", "-q", "--orphan", "fresh")
    head.remote.git("branch", "-D", "main")
    head.remote.git("branch", "-m", "main")
    head.commit("a new beginning", "ada")
    head.refused("ReplacedRepository")


def test_every_commit_of_the_first_parent_chain_must_be_signed(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    story.commit("source: {sign: every-commit}\n", "ada", "fleet.yaml")
    story.deploy()
    story.remote.git("checkout", "-q", "-b", "side")
    story.remote.commit("unsigned work", path="side", push=False)
    story.remote.git("checkout", "-q", "main")
    story.remote.git("merge", "-q", "--no-ff", f"-S{people.key('ben')}", "-m", "merge", "side")
    story.commit("on top", "ada")
    assert story.source.poll().signers == ("ada", "ben")
    story.deploy()
    story.commit("unsigned")
    story.commit("signed", "ada")
    story.refused("Unsigned")


def test_both_asks_for_the_commit_and_the_tag(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    story.commit('source: {tags: "v*", sign: both}\n', "ben", "fleet.yaml")
    story.tag("v1.0.0")
    assert story.source.poll().signers == ("ben", "ada")
    story.deploy()
    story.commit("two")
    story.tag("v2.0.0")
    story.refused("Unsigned")


def test_a_threshold_counts_different_people(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    story.commit('source: {tags: "v*", sign: tag, threshold: 2}\n', path="fleet.yaml")
    story.tag("v1.0.0")
    story.refused("ThresholdNotMet")
    story.tag("approved/v1.0.0/ada", "ada")
    story.tag("approved/v1.0.0/eve", "eve")
    story.refused("ThresholdNotMet")
    story.tag("approved/v1.0.0/ben", "ben", at="HEAD^{commit}")
    story.source = story.started()
    assert story.source.poll().signers == ("ada", "ben")


# --- OpenPGP ----------------------------------------------------------------------------------------------------------


def test_openpgp_signatures_on_commits_and_tags_count(tmp_path: Path, people: People) -> None:
    story = PgpStory(tmp_path, people)
    story.sign('source: {tags: "v*", sign: both}\n', "fleet.yaml")
    story.remote.git("tag", "-s", "-u", story.fingerprint, "-m", "v1.0.0", "v1.0.0")
    story.push("v1.0.0")
    revision = story.source.poll()
    assert (revision.ref, revision.signers) == ("v1.0.0", ("ada",))
    kinds = [read(story.store.blobs.read(ref.sha256)).kind for ref in revision.evidence]
    assert kinds == ["commit", "tag"]


def test_an_unknown_openpgp_key_and_changed_words_are_refused(tmp_path: Path, people: People) -> None:
    story = PgpStory(tmp_path, people)
    story.sign("source: {sign: head}\n", "fleet.yaml")
    story.deploy()
    story.sign("two")
    story.push_object("commit", story.raw("commit", "HEAD").replace(b"say two", b"say six"), "refs/heads/main")
    story.refused("BadSignature")
    eve = people.openpgp("eve")
    story.remote.commit("three", f"-S{eve}")
    story.refused("UnknownKey")


def test_a_revoked_openpgp_key_is_refused(tmp_path: Path, people: People) -> None:
    story = PgpStory(tmp_path, people)
    story.sign("source: {sign: head}\n", "fleet.yaml")
    story.deploy()
    certificate = people.home / "openpgp-revocs.d" / f"{story.fingerprint}.rev"
    story.sign("two")
    people.gpg("--import", stdin=certificate.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))
    story.export("ada")
    story.refused("RevokedKey")


def test_an_expired_openpgp_key_is_refused(tmp_path: Path, people: People) -> None:
    story = PgpStory(tmp_path, people)
    story.sign("source: {sign: head}\n", "fleet.yaml")
    story.deploy()
    story.sign("two")
    people.gpg("--faked-system-time", "20200101T000000", "--quick-generate-key", "old <old@example.org>", "ed25519",
               "sign", "1d")  # fmt: skip
    story.export("old")
    program = tmp_path / "old-gpg"
    program.write_text('#!/bin/sh\nexec gpg --faked-system-time 20200101T010000 "$@"\n')
    program.chmod(0o755)
    story.remote.git("config", "gpg.program", str(program))
    story.remote.commit("three", "-Sold@example.org")
    story.refused("ExpiredKey")


# --- policy -----------------------------------------------------------------------------------------------------------


def test_the_old_policy_and_the_old_keys_judge_the_new(head: Story) -> None:
    head.commit(head.people.allowed("ada", "ben", "eve"), "eve", "keys/allowed_signers")
    head.refused("UnknownKey")
    head.commit(head.people.allowed("eve"), "ada", "keys/allowed_signers")
    head.deploy()
    head.commit("by the former", "ada")
    head.refused("UnknownKey")
    head.commit("by the new", "eve")
    assert head.source.poll().signers == ("eve",)
    head.deploy()
    head.commit("source: {sign: none}\n", "", "fleet.yaml")
    head.refused("Unsigned")


def test_whoever_asks_for_signatures_brings_the_first_keys(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    story.first.unlink()
    access = Access(str(story.remote.bare))
    story.source = following(access, tmp_path / "trusting")
    story.commit("source: {branch: main}\n", path="fleet.yaml")
    story.deploy()
    story.remote.commit(people.allowed("ada"), path="keys/allowed_signers", push=False)
    story.commit("source: {sign: head}\n", "eve", "fleet.yaml")
    with pytest.raises(SourceError) as caught:
        story.source.poll()
    assert caught.value.reason == "UnknownKey"
    story.remote.git("commit", "-q", "--amend", f"-S{people.key('ada')}", "-m", "by Ada")
    story.remote.git("push", "-q", "-f", "origin", "HEAD")
    assert story.source.poll().signers == ("ada",)


def test_nobody_trusted_is_refused(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    story.first.write_text("")
    story.commit("source: {sign: head}\n", "ada", "fleet.yaml")
    story.refused("NobodyTrusted")


def test_a_policy_that_was_replaced_does_not_come_back(head: Story) -> None:
    head.commit(head.people.allowed("ada", "ben"), "ada", "keys/allowed_signers")
    head.deploy()
    head.commit(head.people.allowed("ada"), "ada", "keys/allowed_signers")
    head.deploy()
    head.commit(head.people.allowed("ada", "ben"), "ada", "keys/allowed_signers")
    head.refused("PolicyRollback")
    head.source = head.started(epoch=1)
    assert head.deploy() == "main"


def test_rules_by_path_say_who_must_sign(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    rules = '[{paths: ["boxes/site-a-*"], signers: [ben]}, {paths: ["keys/**", fleet.yaml], signers: [ada]}]'
    story.commit(f"source: {{sign: head, rules: {rules}}}\n", "ben", "fleet.yaml")
    story.deploy()
    story.commit("anything", "ben")
    story.commit("role: site\n", "ada", "boxes/site-a-1.yaml")
    assert "boxes/site-a-1.yaml" in story.refused("RuleNotMet").message
    story.commit("role: tower\n", "ben", "boxes/site-a-1.yaml")
    story.deploy()
    story.commit("source: {sign: head}\n", "ben", "fleet.yaml")
    story.refused("RuleNotMet")
    story.commit("source: {sign: head} # no rules\n", "ada", "fleet.yaml")
    assert story.source.poll().signers == ("ada",)


def test_with_every_commit_each_signer_answers_for_their_own_paths(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    rules = "[{paths: [boxes], signers: [ben]}]"
    story.commit(f"source: {{sign: every-commit, rules: {rules}}}\n", "ada", "fleet.yaml")
    story.deploy()
    story.commit("role: site\n", "ada", "boxes/a.yaml")
    story.commit("docs", "ben")
    story.refused("RuleNotMet")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('{branch: main, tags: "v*"}', "either `branch` or `tags`"),
        ("{sign: tag}", "goes with `tags`"),
        ("{sign: head, threshold: 2}", "`threshold` goes with"),
        ("{rules: [{paths: [x], signers: [ada]}]}", "need signatures"),
        ("{sign: hand}", "did you mean `head`"),
        ("{sign: every-commit, rules: [{paths: [x], signers: []}]}", "`source.rules.0.signers`: has 0, and at least 1"),
    ],
)
def test_a_policy_that_cannot_hold_is_a_mistake(tmp_path: Path, said: str, message: str) -> None:
    (tmp_path / "fleet.yaml").write_text(f"source: {said}\n")
    with pytest.raises(FleetError, match=message):
        load_policy(FolderTree(tmp_path))


def test_a_policy_is_read(tmp_path: Path) -> None:
    text = 'source: {tags: "v*", sign: both, threshold: 2, rules: [{paths: [keys], signers: [ada]}]}\n'
    (tmp_path / "fleet.yaml").write_text(text)
    policy = load_policy(FolderTree(tmp_path))
    assert (policy.branch, policy.tags, policy.threshold) == ("", "v*", 2)
    assert policy.rules == (PathRule(("keys",), ("ada",)),)


# --- the tree ---------------------------------------------------------------------------------------------------------


def test_trees_that_a_fleet_repo_may_not_hold_are_refused(head: Story) -> None:
    (head.remote.work / "link").symlink_to("../../etc/passwd")
    head.commit("two", "ada")
    head.refused("LeavingLink")
    (head.remote.work / "link").unlink()
    (head.remote.work / "large").write_bytes(bytes((8 << 20) + 1))
    head.commit("three", "ada")
    head.refused("TooLarge")
    (head.remote.work / "large").unlink()
    head.remote.git("rm", "-q", "--cached", "large")
    head.remote.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    head.remote.git("commit", "-q", f"-S{head.people.key('ada')}", "-m", "submodule")
    head.remote.git("push", "-q", "origin", "HEAD")
    head.refused("Submodule")


def test_more_files_than_a_fleet_needs_are_refused(head: Story) -> None:
    blob = head.remote.git("hash-object", "-w", "--stdin", stdin="x")
    tree = head.remote.git("mktree", stdin="".join(f"100644 blob {blob}\tf{n}\n" for n in range(20_001)))
    commit = head.remote.git("commit-tree", "-p", "HEAD", "-m", "many", tree)
    head.remote.git("push", "-q", "origin", f"{commit}:refs/heads/main")
    head.refused("TooMany")


def test_other_transports_are_refused_by_name(tmp_path: Path) -> None:
    for url in ("http://host/x", "git://host/x", "ext::x"):
        with pytest.raises(SourceError) as caught:
            following(Access(url), tmp_path)
        assert caught.value.reason == "Transport"

"""A commit of ours that the next pass would refuse never reaches the remote: it would block everybody's branch."""

import pytest

from gitops.sign.commits import CommitKey
from tests.kit.people import People
from tests.kit.updates import LOCK, Patched

NEW = "locks: openssl 3.5.7-1 -> 3.5.9-1"
LOCKS = "pkg/*/packages.lock"


class Judged:
    """A fleet repo in which every commit must be signed; `ada` may sign all of it."""

    def __init__(self, patched: Patched, people: People) -> None:
        self.patched, self.ada = patched, people.allowed("ada")
        patched.look()
        self.key = CommitKey.open(patched.site.settings.keys)
        patched.site.remote.git("config", "user.signingkey", str(people.key("ada")))

    def says(self, security: str, signers: str, paths: str = LOCKS, source: str = "sign: every-commit") -> None:
        limits = f', limits: [{{paths: ["{paths}"], signers: [toweros-security]}}]' if "toweros" in signers else ""
        fleet = f"source: {{{source}{limits}}}\nsecurity: {security}\n"
        self.patched.site.commit({"keys/allowed_signers": self.ada + signers, "fleet.yaml": fleet}, "-S")

    def look(self, seconds: int = 25 * 3600) -> str:
        """What the next run says. Nothing of it reaches the remote."""
        before = dict(self.patched.refs)
        self.patched.later(seconds)
        self.patched.look()
        assert dict(self.patched.refs) == before, "nothing is pushed"
        run = self.patched.run()
        assert not any(each.pushing for each in self.patched.patches.proposals.values())
        return f"{run.error}; {run.outcome}"


@pytest.fixture
def judged(patched: Patched, people: People) -> Judged:
    return Judged(patched, people)


def test_a_key_that_the_policy_does_not_let_in_pushes_nothing_and_is_named(judged: Judged, people: People) -> None:
    patched, line = judged.patched, judged.key.allowed
    judged.says("{how: commit}", "")
    patched.look()
    patched.update()
    said = judged.look()
    assert "unknown key" in said and "add this line to keys/allowed_signers" in said and said.endswith(line)
    assert [line in message for message in patched.events("Updates")] == [True]
    judged.look()
    assert len(patched.events("Updates")) == 1, "said once, though each try is another commit"
    judged.says("{how: commit}", people.allowed("ben").replace("ben", "toweros-security"))
    patched.look()
    assert "names another key of toweros-security" in judged.look()
    judged.says("{how: commit}", line, "pkg/init/packages.lock")
    patched.look()
    said = judged.look()
    assert "changes pkg/hello/packages.lock" in said and "let a limit" in said and said.endswith(line)
    judged.says("{how: commit}", line, LOCK)
    patched.look()
    patched.update("libz", "1.1-1", "zlib")  # which the limit leaves out: it changes pkg/init as well
    patched.later()
    patched.look()
    said, error = patched.run().outcome, patched.run().error
    assert error.startswith("zlib: ") and "changes pkg/init/packages.lock" in error
    assert said.startswith("1 of 2 updates offered") and said.endswith(line)
    assert patched.show("main") == NEW and patched.site.run().revision.signers == ("toweros-security",)
    # Taking back is a commit like any other.
    for _ in range(2):
        for box in patched.site.offers():
            patched.site.report(box)
        patched.look()
    judged.patched.update("libssl3", "3.5.10-1")
    patched.later()
    patched.look()
    patched.site.remote.git("pull", "-q", "origin", "main")
    patched.look()
    patched.site.report("a", failed=True)
    before, ours = patched.refs["main"], patched.site.settings.keys / "security"
    ours.rename(ours.with_name("lost"))
    patched.look()
    assert patched.refs["main"] == before and len(patched.patches.held) == 1
    assert any("a new one was made" in message for message in patched.events("Updates"))
    assert any("cannot be settled" in message and "another key" in message for message in patched.events("Updates"))
    ours.with_name("lost").rename(ours)
    patched.look()
    assert patched.show("main").startswith("locks: take back")


def test_a_proposal_that_would_not_deploy_is_not_merged(judged: Judged) -> None:
    patched = judged.patched
    judged.says("{how: pull-request, merge: [unknown]}", "")
    patched.look()
    patched.update()
    patched.update("libz", "1.1-1", "zlib")
    main = patched.refs["main"]
    patched.later()
    patched.look()
    assert patched.show("toweros/security/openssl") == NEW and patched.refs["main"] == main
    assert patched.show("toweros/security/zlib") == "locks: zlib 1.0-1 -> 1.1-1", "the others are offered all the same"
    assert patched.run().error.startswith("openssl, zlib: "), "one reason is said once"
    assert "unknown key" in patched.run().error and judged.key.allowed in patched.run().outcome


def test_a_release_tag_that_would_not_deploy_is_not_pushed_nor_its_commit(judged: Judged) -> None:
    patched, git = judged.patched, judged.patched.site.remote.git
    for name, signers in (("v1.0.0", ""), ("v1.0.1", "")):
        judged.says("{how: tag}", signers + f"# {name}\n", source='tags: "v*", sign: tag')
        git("tag", "-s", "-m", name, name)
        git("push", "-q", "origin", name)
        patched.look()
    patched.update()
    assert "unknown key" in judged.look() and "v1.0.2" not in patched.refs
    judged.says("{how: tag}", judged.key.allowed, LOCK, source='tags: "v*", sign: tag')
    git("tag", "-s", "-m", "v1.0.2", "v1.0.2")
    git("push", "-q", "origin", "v1.0.2")
    patched.look()
    patched.update("libz", "1.1-1", "zlib")
    patched.later()
    patched.look()
    assert patched.show("v1.0.3") == patched.show("main") == NEW, "without zlib, which the limit leaves out"

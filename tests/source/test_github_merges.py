"""docs/review.md, "Merging on GitHub": merge and squash commits that GitHub makes, taken in either of the two ways."""

from pathlib import Path

import pytest

from tests.kit.people import People, people
from tests.kit.trust import Story

__all__ = ["people"]
BRANCH = """\
source:
  sign: every-commit
  rules: [{paths: [keys, fleet.yaml], signers: [ben]}]
  limits: [{paths: ["boxes/*.yaml", "README.md"], signers: [github]}]
"""


class Forge(Story):
    """A fleet repo on a forge, whose merge button signs with a key of the forge's own: GitHub's `web-flow`."""

    def __init__(self, folder: Path, people: People, policy: str) -> None:
        super().__init__(folder, people, "ben")
        self.forge = people.openpgp("github")
        people.openpgp("old-github")
        keys = self.remote.work / "keys"
        (keys / "openpgp").mkdir(parents=True)
        (keys / "allowed_signers").write_text(people.allowed("ben"))
        exported = ("--armor", "--export", "github@example.org", "old-github@example.org")
        (keys / "openpgp/github.asc").write_bytes(people.gpg(*exported))  # as GitHub hands it out: an older key, too
        self.commit(policy, "ben", "fleet.yaml")

    def merged(self, change: dict[str, str], *, squash: bool, by: str = "") -> None:
        """A stranger's branch, whose commits nobody signed, by the button. GitHub is the committer."""
        self.remote.git("checkout", "-q", "-b", "topic", "main")
        for path, text in change.items():
            self.remote.commit(text, path=path, push=False)
        self.remote.git("checkout", "-q", "main")
        env, sign = dict(self.remote.env), f"-S{by or self.forge}"
        self.remote.env |= {"GIT_COMMITTER_NAME": "GitHub", "GIT_COMMITTER_EMAIL": "noreply@github.com"}
        pgp = ("-c", "gpg.format=openpgp")
        if squash:
            self.remote.git("merge", "-q", "--squash", "topic")
            self.remote.git(*pgp, "commit", "-q", sign, "-m", "Change (#7)")
        else:
            self.remote.git(*pgp, "merge", "-q", "--no-ff", sign, "-m", "Merge pull request #7", "topic")
        self.remote.env = env
        self.remote.git("branch", "-q", "-D", "topic")
        self.remote.git("push", "-q", "origin", "main")

    def rebased(self, change: dict[str, str]) -> None:
        """Ben's branch, by the third button: his commits are written anew by GitHub, and nobody signs them."""
        self.remote.git("checkout", "-q", "-b", "topic", "main")
        for path, text in change.items():
            self.remote.commit(text, f"-S{self.people.key('ben')}", path=path, push=False)
        self.remote.git("checkout", "-q", "main")
        env = dict(self.remote.env)
        self.remote.env |= {"GIT_COMMITTER_NAME": "GitHub", "GIT_COMMITTER_EMAIL": "noreply@github.com"}
        self.remote.git("cherry-pick", "--no-gpg-sign", "main..topic")
        self.remote.env = env
        self.remote.git("branch", "-q", "-D", "topic")
        self.remote.git("push", "-q", "origin", "main")


@pytest.mark.parametrize("squash", [False, True])
def test_with_tags_the_button_needs_no_signature_of_its_own(tmp_path: Path, people: People, squash: bool) -> None:
    story = Forge(tmp_path, people, 'source: {tags: "v*", sign: tag}\n')
    story.tag("v1.0.0", "ben")
    assert story.deploy() == "v1.0.0"
    story.merged({"boxes/a.yaml": "role: x\n"}, squash=squash)
    assert story.deploy() == "v1.0.0", "merged is not released"
    story.tag("v1.1.0", "ben")
    assert story.source.poll().signers == ("ben",)


@pytest.mark.parametrize("squash", [False, True])
def test_the_forge_s_key_signs_what_a_limit_leaves_to_it(tmp_path: Path, people: People, squash: bool) -> None:
    story = Forge(tmp_path, people, BRANCH)
    story.deploy()
    story.merged({"boxes/a.yaml": "role: x\n", "README.md": "more"}, squash=squash)
    assert story.source.poll().signers == ("github",)
    story.deploy()
    story.merged({"keys/allowed_signers": people.allowed("ben", "eve")}, squash=squash)
    story.refused("BeyondLimit")


def test_a_key_that_only_calls_itself_the_forge_signs_nothing(tmp_path: Path, people: People) -> None:
    story = Forge(tmp_path, people, BRANCH)
    story.deploy()
    story.merged({"boxes/a.yaml": "role: x\n"}, squash=True, by=people.openpgp("noreply"))
    story.refused("UnknownKey")


def test_a_rebase_merge_is_signed_by_nobody(tmp_path: Path, people: People) -> None:
    """Though Ben signed each of the commits that it is made of."""
    story = Forge(tmp_path, people, BRANCH)
    story.deploy()
    story.rebased({"boxes/a.yaml": "role: x\n", "boxes/b.yaml": "role: y\n"})
    assert story.remote.git("log", "-1", "--format=%an %cn") == "Ada GitHub"
    story.refused("Unsigned")


def test_with_tags_a_rebase_merge_is_vouched_for_by_the_tag(tmp_path: Path, people: People) -> None:
    story = Forge(tmp_path, people, 'source: {tags: "v*", sign: tag}\n')
    story.tag("v1.0.0", "ben")
    story.deploy()
    story.rebased({"boxes/a.yaml": "role: x\n"})
    assert story.deploy() == "v1.0.0", "merged is not released"
    story.tag("v1.1.0", "ben")
    assert story.source.poll().signers == ("ben",)

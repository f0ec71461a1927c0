"""Who signed, and whether that is enough, commit by commit: on a clone of real commits, with nobody to fetch from."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pygit2
import pytest

from gitops.errors import FleetError, SourceError
from gitops.model import BlobRef, PathRule, Policy, Revision, Sign
from gitops.source.clone.commits import Clone
from gitops.source.trust import approvals as approvals_module
from gitops.source.trust import signers as signers_module
from gitops.source.trust.deployed import Deployed
from gitops.source.trust.judge import AHEAD, Judge
from gitops.source.trust.objects import Signed, loose, read
from gitops.source.trust.rules import policy_state
from gitops.source.trust.signatures import FirstKeys, Trust
from gitops.source.trust.signers import NamedCommit, Signers, Vouched
from tests.kit.people import People
from tests.kit.remote import Remote

BOXES, PKG = PathRule(("boxes",), ("ben",)), PathRule(("pkg",), ("ada",))
LOCKS = PathRule(("**/packages.lock",), ("eve",))
HEAD, CHAIN = Policy(sign=Sign.head), Policy(sign=Sign.every_commit)
NONE = "source: {branch: main}\n"


class Yard:
    """A repository, and Ada, Ben and Eve who commit to it. `start` is its first commit, by Ada."""

    def __init__(self, folder: Path) -> None:
        self.people, self.remote = People(folder / "people"), Remote(folder)
        self.everybody = folder / "allowed"
        self.everybody.write_text(self.people.allowed("ada", "ben", "eve"))
        self.clone = Clone(pygit2.Repository(str(self.remote.work)))
        self.start = self.commit("ada", "fleet.yaml", NONE, on="")

    def commit(
        self, by: str, path: str = "README.md", text: str = "", *, on: str | None, date: int | None = None
    ) -> str:
        """A commit on top of `on` (nothing: a new history), with one file changed."""
        if on:
            self.remote.git("checkout", "-q", "--detach", on)
        elif on == "":
            self.remote.git("checkout", "-q", "--orphan", f"history-{time.time_ns()}")
        self.remote.env["GIT_COMMITTER_DATE"] = f"@{int(time.time()) if date is None else date} +0000"
        options = [f"-S{self.people.key(by)}"] if by else []
        return self.remote.commit(text or f"{time.time_ns()}", *options, path=path, push=False)

    def merge(self, by: str, tree_of: str, *parents: str) -> str:
        """A merge with the files of one commit."""
        sign = [f"-S{self.people.key(by)}"] if by else []
        words = [word for parent in parents for word in ("-p", parent)]
        return self.remote.git("commit-tree", *sign, *words, "-m", "merge", f"{tree_of}^{{tree}}")

    def tag(self, name: str, by: str, commit: str) -> Signed:
        options = ["-c", f"user.signingkey={self.people.key(by)}", "tag", "-s"] if by else ["tag", "-a"]
        self.remote.git(*options, "-f", "-m", "words", name, commit)
        identity = self.remote.git("rev-parse", name)
        return read(loose("tag", self.clone.repository[pygit2.Oid(hex=identity)].read_raw()))

    @property
    def signers(self) -> Signers:
        return Signers(self.clone, Trust(self.everybody.read_bytes()))

    def revision(self, commit: str) -> Revision:
        return self.clone.describe("main", commit, self.clone.count(commit))


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    made = Yard(tmp_path_factory.mktemp("y"))
    yield made
    made.people.close()


def refused(reason: str, ask: Callable[[], object]) -> str:
    with pytest.raises(SourceError) as caught:
        ask()
    assert caught.value.reason == reason, caught.value
    return caught.value.message


def vouched(*names: str) -> Vouched:
    """Nobody but these, without any approval."""
    return Vouched(names)


# --- who signed ---


def test_each_way_of_signing_asks_for_its_own_objects(yard: Yard) -> None:
    unsigned, by_ada = (yard.commit(who, on=yard.start) for who in ("", "ada"))
    by_ben = NamedCommit("v1", by_ada, yard.tag("v1", "ben", by_ada))
    of = yard.signers.of
    assert of(Policy(), NamedCommit("main", unsigned), None) == vouched()
    assert of(HEAD, NamedCommit("main", by_ada), None) == vouched("ada")
    assert of(Policy(sign=Sign.tag), by_ben, None) == vouched("ben")
    assert of(Policy(sign=Sign.both), by_ben, None) == vouched("ada", "ben")
    assert of(Policy(sign=Sign.both), replace(by_ben, tag=yard.tag("v1", "ada", by_ada)), None) == vouched("ada")
    for sign in (Sign.head, Sign.both, Sign.every_commit):
        refused("Unsigned", functools.partial(of, Policy(sign=sign), replace(by_ben, commit=unsigned), None))
    for sign in (Sign.tag, Sign.both):
        refused("Unsigned", functools.partial(of, Policy(sign=sign), NamedCommit("v1", by_ada), None))
        bare = NamedCommit("v1", by_ada, yard.tag("bare", "", by_ada))
        refused("Unsigned", functools.partial(of, Policy(sign=sign), bare, None))


def test_approvals_count_where_a_threshold_asks_for_them_and_bad_ones_stop_nothing(yard: Yard) -> None:
    commit = yard.commit("ada", "boxes/a.yaml", on=yard.start)
    ada, ben, eve = (yard.tag(f"t/{who}", who, commit) for who in ("ada", "ben", "eve"))
    bare, last = yard.tag("t/bare", "", commit), yard.revision(yard.start)
    policy = Policy(sign=Sign.tag, threshold=2, limits=(LOCKS,))

    def ask(*approvals: Signed, threshold: int = 2) -> Vouched:
        return yard.signers.of(replace(policy, threshold=threshold), NamedCommit("v1", commit, ada, approvals), last)

    for approvals, counted, why_not in (
        ((bare, ben), ben, ["Unsigned"]),
        ((ben, ben), ben, []),
        ((eve, ben), ben, ["BeyondLimit"]),
        ((ben, eve, bare), ben, []),  # they are enough without the others
    ):
        found = ask(*approvals)
        assert found.names == ("ada", "ben") and found.approvals == (counted,)
        assert [error.reason for error in found.refused] == why_not
    assert ask(ben, threshold=1) == vouched("ada"), "nobody asked for it"
    assert ask(bare, threshold=1) == vouched("ada")
    for approvals in ((), (bare,), (ada,), (eve,)):
        refused("ThresholdNotMet", functools.partial(ask, *approvals))


def test_approvals_by_listed_keys_are_not_looked_at_without_end_and_others_take_no_place_away(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = yard.commit("ada", on=yard.start)
    ada, ben, eve = (yard.tag(f"t/{who}", who, commit) for who in ("ada", "ben", "eve"))
    bare, last = yard.tag("t/bare", "", commit), yard.revision(yard.start)
    signers = Signers(yard.clone, Trust(yard.people.allowed("ada", "ben").encode()))
    monkeypatch.setattr(approvals_module, "MAX_APPROVALS", 2)

    def ask(*approvals: Signed) -> Vouched:
        return signers.of(Policy(sign=Sign.tag, threshold=2), NamedCommit("v1", commit, ada, approvals), last)

    found = ask(bare, eve, bare, eve, ada, ben)
    assert found.names == ("ada", "ben") and found.approvals == (ada, ben)
    assert [error.reason for error in found.refused] == ["Unsigned", "UnknownKey"] * 2
    found = ask(ada, ada, ada, ada, ben)
    assert found.approvals == (ada, ada, ben), "one person's flood takes no place away from another"


def test_another_name_of_the_same_person_is_no_other_approval(yard: Yard) -> None:
    commit = yard.commit("ada", on=yard.start)
    ada, ben, eve = (yard.tag(f"t/{who}", who, commit) for who in ("ada", "ben", "eve"))
    listed = yard.people.allowed("ada", "ben") + yard.people.allowed("eve").replace("eve", "eve,ada", 1)
    signers = Signers(yard.clone, Trust(listed.encode()))

    def ask(*approvals: Signed) -> Vouched:
        return signers.of(Policy(sign=Sign.tag, threshold=2), NamedCommit("v1", commit, ada, approvals), None)

    refused("ThresholdNotMet", functools.partial(ask, eve))
    assert ask(eve, ben) == Vouched(("ada", "eve", "ben"), (eve, ben)), "it is asked on until there are two people"


def test_rules_and_limits_look_at_what_became_different_from_what_is_deployed(yard: Yard) -> None:
    last = yard.revision(yard.start)
    hidden = yard.commit("", "boxes/a.yaml", on=yard.start)
    ask = functools.partial(yard.signers.of, replace(HEAD, rules=(BOXES,), limits=(LOCKS,)))
    assert ask(NamedCommit("main", yard.commit("ben", on=hidden)), last) == vouched("ben")
    on_top = NamedCommit("main", yard.commit("ada", on=hidden))
    assert "boxes/a.yaml, which needs one of ben" in refused("RuleNotMet", functools.partial(ask, on_top, last))
    undone = yard.merge("ada", yard.start, hidden)
    assert ask(NamedCommit("main", undone), last) == vouched("ada"), "nothing of it is left"
    assert ask(on_top, None) == vouched("ada"), "no rule holds before the first deployment"
    gone = replace(last, commit="1" * 40)
    assert "changes boxes, which" in refused("RuleNotMet", functools.partial(ask, NamedCommit("main", undone), gone))
    assert ask(NamedCommit("main", yard.commit("ben", on=yard.start)), gone) == vouched("ben"), "all of it is new"
    lock = NamedCommit("main", yard.commit("eve", "a/packages.lock", on=yard.start))
    assert ask(lock, last) == vouched("eve")
    assert "everything" in refused("BeyondLimit", functools.partial(ask, lock, None)), "every limit does"


# --- every commit ---


def test_a_chain_is_signed_by_all_of_its_commits_the_newest_first(yard: Yard) -> None:
    one = yard.commit("ada", on=yard.start)
    two = yard.commit("ben", on=one)
    three = yard.commit("ada", on=two)
    last, ask = yard.revision(yard.start), yard.signers.of
    assert ask(CHAIN, NamedCommit("main", three), last) == vouched("ada", "ben")
    assert ask(CHAIN, NamedCommit("main", two), last) == vouched("ben", "ada")
    assert ask(CHAIN, NamedCommit("main", two), None) == vouched("ben"), "nothing is deployed: the head alone"
    assert ask(CHAIN, NamedCommit("main", one), yard.revision(three)) == vouched("ada"), "of a deployed one the head"
    unsigned = yard.commit("ada", on=yard.commit("", on=one))
    refused("Unsigned", functools.partial(ask, CHAIN, NamedCommit("main", unsigned), last))
    began = NamedCommit("main", yard.commit("ben", on=""))
    assert ask(CHAIN, began, last) == vouched("ben"), "it ends where history begins"


def test_of_a_history_that_has_nothing_in_common_with_what_is_deployed_the_head_answers_for_everything(
    yard: Yard,
) -> None:
    """As before the first deployment: there is no commit that the chain could lead to."""
    last, below = yard.revision(yard.start), yard.commit("", "boxes/a.yaml", on="")
    ask = functools.partial(yard.signers.of, replace(CHAIN, rules=(BOXES,)))
    assert ask(NamedCommit("main", yard.commit("ben", on=below)), last) == vouched("ben")
    by_ada = NamedCommit("main", yard.commit("ada", on=yard.commit("ben", on=below)))
    assert "boxes/a.yaml" in refused("RuleNotMet", functools.partial(ask, by_ada, last))
    refused("Unsigned", functools.partial(ask, NamedCommit("main", yard.commit("", on=by_ada.commit)), last))
    limited = functools.partial(yard.signers.of, replace(CHAIN, limits=(LOCKS,)))
    lock = NamedCommit("main", yard.commit("eve", "a/packages.lock", on=below))
    refused("BeyondLimit", functools.partial(limited, lock, last))


def test_what_was_there_before_what_is_deployed_is_not_asked_for_its_signature(yard: Yard) -> None:
    """It was deployed when nobody had to sign."""
    old = yard.commit("", on="")
    last, beside = yard.revision(yard.commit("ada", on=old)), yard.commit("ben", on=old)
    ask = functools.partial(yard.signers.of, CHAIN)
    assert ask(NamedCommit("main", yard.merge("eve", beside, last.commit, beside)), last) == vouched("eve")
    assert ask(NamedCommit("main", beside), last) == vouched("ben"), "where the epoch lets it in, it ends there, too"
    past = NamedCommit("main", yard.merge("eve", beside, beside, last.commit))
    refused("NotFirstParent", functools.partial(ask, past, last))


def test_a_chain_has_a_longest_length(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = [yard.start]
    for _ in range(3):
        commits.append(yard.commit("ada", on=commits[-1]))
    last = yard.revision(yard.start)
    monkeypatch.setattr(signers_module, "MAX_CHAIN", 2)
    assert yard.signers.of(CHAIN, NamedCommit("main", commits[2]), last) == vouched("ada")
    refused("TooMany", functools.partial(yard.signers.of, CHAIN, NamedCommit("main", commits[3]), last))


def test_in_a_chain_everybody_answers_for_their_own_commit_alone(yard: Yard) -> None:
    last = yard.revision(yard.start)
    ask = functools.partial(yard.signers.of, replace(CHAIN, rules=(BOXES, PKG)))
    box = yard.commit("ben", "boxes/a.yaml", on=yard.start)
    good = yard.commit("ada", "pkg/x", on=box)
    assert ask(NamedCommit("main", good), last) == vouched("ada", "ben")
    bad = yard.commit("ben", on=yard.commit("ada", "boxes/b.yaml", on=good))
    assert "boxes/b.yaml" in refused("RuleNotMet", functools.partial(ask, NamedCommit("main", bad), last))
    began = yard.commit("ada", "boxes/c.yaml", on="")
    refused("RuleNotMet", functools.partial(ask, NamedCommit("main", began), last))
    assert ask(NamedCommit("main", began), None) == vouched("ada"), "no rule holds before the first deployment"
    limited = functools.partial(yard.signers.of, replace(CHAIN, limits=(LOCKS,)))
    lock = yard.commit("eve", "a/packages.lock", on=good)
    assert limited(NamedCommit("main", lock), yard.revision(good)) == vouched("eve")
    more = yard.commit("eve", "pkg/y", on=lock)
    refused("BeyondLimit", functools.partial(limited, NamedCommit("main", more), yard.revision(good)))
    refused("BeyondLimit", functools.partial(limited, NamedCommit("main", lock), None))


def test_whoever_signs_a_merge_answers_for_all_that_comes_in_with_it(yard: Yard) -> None:
    last = yard.revision(yard.start)
    side = yard.commit("", "boxes/a.yaml", on=yard.start)
    ask = functools.partial(yard.signers.of, replace(CHAIN, rules=(BOXES,)))
    assert ask(NamedCommit("main", yard.merge("ben", side, yard.start, side)), last) == vouched("ben")
    by_ada = NamedCommit("main", yard.merge("ada", side, yard.start, side))
    refused("RuleNotMet", functools.partial(ask, by_ada, last))


def test_a_chain_that_takes_in_what_is_deployed_from_the_side_is_refused_whoever_signed_it(yard: Yard) -> None:
    """The first parents lead past what is deployed; the merge's files are those of before it, or not."""
    old = yard.commit("ben", "boxes/a.yaml", "old", on=yard.start)
    deployed = yard.revision(yard.commit("ben", "boxes/a.yaml", "secured", on=old))
    words, by_ben = yard.commit("ada", on=old), yard.commit("ben", on=old)
    for policy in (CHAIN, replace(CHAIN, rules=(BOXES,))):
        ask = functools.partial(yard.signers.of, policy)
        for by in ("ada", "ben"):
            for files, first in ((words, words), (old, old), (by_ben, by_ben), (deployed.commit, words)):
                joined = yard.merge(by, files, first, deployed.commit)
                for commit in (joined, yard.commit(by, on=joined)):
                    said = refused("NotFirstParent", functools.partial(ask, NamedCommit("main", commit), deployed))
                    assert f"the first parents of {commit} lead past the deployed {deployed}" == said


def test_a_chain_that_leads_back_to_what_is_deployed_answers_for_what_it_undoes(yard: Yard) -> None:
    old = yard.commit("ben", "boxes/a.yaml", "old", on=yard.start)
    deployed = yard.revision(yard.commit("ben", "boxes/a.yaml", "secured", on=old))
    words = yard.commit("ada", on=old)
    ask = functools.partial(yard.signers.of, replace(CHAIN, rules=(BOXES,)))
    straight = yard.merge("ada", deployed.commit, deployed.commit, words)
    assert ask(NamedCommit("main", straight), deployed) == vouched("ada")
    for by, names in (("ada", None), ("ben", ("ben",))):
        undone = yard.merge(by, words, deployed.commit, words)
        for commit in (undone, yard.commit("ben", on=undone)):  # whoever signs what is above does not answer
            named = NamedCommit("main", commit)
            if names:
                assert ask(named, deployed) == vouched(*names)
            else:
                assert "boxes/a.yaml" in refused("RuleNotMet", functools.partial(ask, named, deployed))
    above = NamedCommit("main", yard.merge("ada", words, yard.commit("ben", on=deployed.commit), words))
    refused("RuleNotMet", functools.partial(ask, above, deployed))  # nor does whoever signed what is below


def test_where_the_epoch_lets_a_chain_in_that_leaves_out_what_is_deployed_somebody_answers_for_the_whole_step(
    yard: Yard,
) -> None:
    """Its commits touch no path of a rule, and what is deployed is gone all the same."""
    old = yard.commit("ben", "boxes/a.yaml", "old", on=yard.start)
    deployed = yard.revision(yard.commit("ben", "boxes/a.yaml", "secured", on=old))
    ask = functools.partial(yard.signers.of, replace(CHAIN, rules=(BOXES,)))
    words = yard.commit("ada", on=old)
    assert "boxes/a.yaml" in refused("RuleNotMet", functools.partial(ask, NamedCommit("main", words), deployed))
    assert ask(NamedCommit("main", yard.commit("ben", on=words)), deployed) == vouched("ben", "ada")


# --- the judge ---


def keep(objects: Iterable[Signed]) -> tuple[BlobRef, ...]:
    return tuple(BlobRef(sha256(each.loose).hexdigest(), len(each.loose)) for each in objects)


class Court:
    """A controller with Ada as its first key; `deployed` is what it took last."""

    def __init__(self, yard: Yard, folder: Path, *first: str) -> None:
        self.yard, self.first = yard, FirstKeys()
        if first:
            (folder / "first").write_text(yard.people.allowed(*first))
            self.first = FirstKeys(folder / "first")
        self.deployed: Deployed | None = None

    def judge(self, epoch: int = 0) -> Judge:
        return Judge(self.yard.clone, self.deployed, self.first, epoch, keep)

    def accept(self, commit: str, epoch: int = 0, ref: str = "main", **named: object) -> Revision:
        return self.judge(epoch).accept(NamedCommit(ref, commit, **named))  # type: ignore[arg-type]

    def deploy(self, commit: str, policy: Policy, epoch: int = 0) -> Revision:
        revision = self.accept(commit, epoch)
        state = policy_state(policy, self.yard.clone.files(commit).entries())
        self.deployed = (self.deployed or Deployed(revision, epoch, policy)).after(revision, policy, state, "")
        self.deployed = replace(self.deployed, epoch=epoch)
        return revision

    def refuses(self, reason: str, commit: str, epoch: int = 0, **named: object) -> str:
        return refused(reason, functools.partial(self.accept, commit, epoch, **named))


@pytest.fixture
def court(yard: Yard, tmp_path: Path) -> Court:
    """Ada and Ben are its first keys, and a commit that asks for signatures is deployed."""
    made = Court(yard, tmp_path, "ada", "ben")
    made.deploy(yard.commit("ada", "fleet.yaml", "source: {sign: head}\n", on=yard.start), HEAD)
    return made


@pytest.fixture
def deployed(court: Court) -> str:
    assert court.deployed
    return court.deployed.revision.commit


def test_the_first_commit_must_be_signed_where_the_settings_name_somebody(yard: Yard, tmp_path: Path) -> None:
    unsigned = yard.commit("", on=yard.start)
    Court(yard, tmp_path, "ada").refuses("Unsigned", unsigned)
    assert Court(yard, tmp_path).accept(unsigned).signers == ()
    assert Court(yard, tmp_path, "ada").accept(yard.start).signers == ("ada",)
    gone = Court(yard, tmp_path, "ada")
    (tmp_path / "first").unlink()
    gone.refuses("NobodyTrusted", yard.start)


def test_what_is_deployed_already_is_not_judged_again_and_its_proof_stays(court: Court, deployed: str) -> None:
    assert court.deployed
    said = replace(court.deployed.revision, signers=("as before",), evidence=(BlobRef("e" * 64, 1),))
    court.deployed, court.first = replace(court.deployed, revision=said), FirstKeys()
    again = court.accept(deployed)
    assert (again.signers, again.evidence, again.sequence) == (said.signers, said.evidence, said.sequence)
    court.refuses("NobodyTrusted", deployed, ref="another-name")


def test_a_commit_of_tomorrow_is_refused_and_one_of_tonight_is_not(court: Court, yard: Yard, deployed: str) -> None:
    now = int(time.time())
    assert court.accept(yard.commit("ada", on=deployed, date=now + AHEAD - 600)).signers == ("ada",)
    court.refuses("FutureDate", yard.commit("ada", on=deployed, date=now + AHEAD + 600))


def test_a_commit_of_the_first_second_that_a_file_system_knows_may_deploy(
    court: Court, yard: Yard, deployed: str
) -> None:
    assert court.accept(yard.commit("ada", on=deployed, date=0)).time == 0


def test_what_nobody_signed_is_refused_before_its_files_are_read(court: Court, yard: Yard, deployed: str) -> None:
    """Among many tags those of strangers must cost little."""
    broken = yard.commit("", "fleet.yaml", "source: [", on=deployed)
    bare, ada = yard.tag("n/bare", "", broken), yard.tag("n/ada", "ada", broken)
    assert court.deployed
    for sign, tag in ((Sign.tag, bare), (Sign.both, bare), (Sign.head, bare), (Sign.head, ada)):
        court.deployed = replace(court.deployed, policy=Policy(sign=sign))
        court.refuses("Unsigned", broken, ref="v1", tag=tag)
    court.deployed = replace(court.deployed, policy=Policy(sign=Sign.none))
    with pytest.raises(FleetError):
        court.accept(broken, ref="v1", tag=bare)


def test_where_the_commit_is_signed_its_tag_need_not_be_and_counts_for_a_threshold(
    court: Court, yard: Yard, deployed: str
) -> None:
    commit = yard.commit("ada", on=deployed)
    assert court.accept(commit, ref="v1", tag=yard.tag("h/bare", "", commit)).signers == ("ada",)
    assert court.deployed
    court.deployed = replace(court.deployed, policy=replace(HEAD, threshold=2))
    assert court.accept(commit, ref="v1", tag=yard.tag("h/ben", "ben", commit)).signers == ("ada", "ben")


def test_a_revision_counts_its_commits_and_the_epoch_and_keeps_what_proves_it(
    court: Court, yard: Yard, deployed: str
) -> None:
    commit = yard.commit("ada", on=deployed)
    assert court.deployed and court.deployed.revision.sequence == 2
    found = court.accept(commit)
    assert (found.sequence, found.tagged, found.ref) == (3, False, "main")
    head = read(loose("commit", yard.clone.raw(commit)))
    assert found.evidence == keep([head])
    tag, approval = yard.tag("v1", "ada", commit), yard.tag("approved/v1/ben", "ben", commit)
    tagged = court.accept(commit, ref="v1", tag=tag, approvals=(approval,))
    assert tagged.tagged and tagged.evidence == keep([head, tag]), "nobody asked for the approval"
    assert court.accept(commit, epoch=100).sequence == 103
    court.deployed = replace(court.deployed, epoch=5, revision=replace(court.deployed.revision, sequence=7))
    assert court.accept(commit, epoch=5).sequence == 8, "counted on from what is deployed"
    assert court.accept(commit, epoch=6).sequence == 9


def test_approvals_that_count_are_kept_and_the_others_are_heard(court: Court, yard: Yard, deployed: str) -> None:
    assert court.deployed
    court.deployed = replace(court.deployed, policy=replace(HEAD, threshold=2))
    commit = yard.commit("ada", on=deployed)
    tag, ben, bare = yard.tag("t/ada", "ada", commit), yard.tag("t/ben", "ben", commit), yard.tag("t/bare", "", commit)
    judge = court.judge()
    found = judge.accept(NamedCommit("v1", commit, tag, (bare, ben)))
    head = read(loose("commit", yard.clone.raw(commit)))
    assert found.signers == ("ada", "ben") and found.evidence == keep([head, tag, ben])
    assert [error.reason for error in judge.heard if isinstance(error, SourceError)] == ["Unsigned"]
    court.refuses("ThresholdNotMet", commit, ref="v1", tag=tag, approvals=(bare,))


def test_another_history_is_taken_by_whoever_raises_the_epoch_and_never_unsigned(court: Court, yard: Yard) -> None:
    beside = yard.commit("ada", "pkg/x", on=yard.start)
    court.refuses("NotDescending", beside)
    unrelated = yard.commit("ada", "fleet.yaml", NONE, on="")
    court.refuses("ReplacedRepository", unrelated)
    court.refuses("LowerSequence", unrelated, epoch=1)
    assert court.accept(unrelated, epoch=2).sequence == 3
    assert court.accept(beside, epoch=1).signers == ("ada",)
    court.refuses("Unsigned", yard.commit("", on=yard.start), epoch=1)


def test_a_raised_epoch_brings_a_replaced_policy_back_and_nothing_else_does(
    court: Court, yard: Yard, deployed: str
) -> None:
    two = yard.commit("ada", "keys/allowed_signers", yard.people.allowed("ada"), on=deployed)
    court.deploy(two, HEAD)
    back = yard.merge("ada", deployed, two)
    court.refuses("PolicyRollback", back)
    assert court.accept(back, epoch=1).signers == ("ada",)


def test_rules_compare_with_what_is_deployed_whether_that_is_an_ancestor_or_not(
    court: Court, yard: Yard, deployed: str
) -> None:
    ruled = "source: {sign: head, rules: [{paths: [boxes], signers: [ben]}]}\n"
    policy = replace(HEAD, rules=(BOXES,))
    at = yard.commit("ada", "fleet.yaml", ruled, on=deployed)
    court.deploy(at, policy)
    court.refuses("RuleNotMet", yard.commit("ada", "boxes/a.yaml", on=at))
    assert court.accept(yard.commit("ben", "boxes/a.yaml", on=at)).signers == ("ben",)
    beside, began = (yard.commit("ada", "boxes/a.yaml", on=on) for on in (deployed, ""))
    court.refuses("RuleNotMet", beside, epoch=1)  # a raised epoch says where history may start, not who may sign
    court.refuses("RuleNotMet", began, epoch=3)
    assert court.accept(yard.commit("ada", "pkg/x", on=deployed), epoch=1).signers == ("ada",)
    assert court.accept(yard.commit("ben", on=beside), epoch=1).signers == ("ben",)
    assert court.accept(yard.commit("ben", on=began), epoch=3).signers == ("ben",)
    assert court.deployed
    court.deployed = replace(court.deployed, revision=replace(court.deployed.revision, commit="1" * 40))
    court.refuses("RuleNotMet", yard.commit("ada", on=""), epoch=3)  # with nothing to compare with all of it is new
    assert court.accept(yard.commit("ben", on=""), epoch=3).signers == ("ben",)


def test_the_deployed_keys_judge_the_first_ones_where_it_has_none_and_both_where_the_epoch_is_raised(
    court: Court, yard: Yard, deployed: str
) -> None:
    assert court.accept(yard.commit("ben", on=deployed)).signers == ("ben",), "it lists nobody itself"
    at = yard.commit("ada", "keys/allowed_signers", yard.people.allowed("eve"), on=deployed)
    court.deploy(at, HEAD)
    court.refuses("UnknownKey", yard.commit("ada", on=at))
    court.refuses("UnknownKey", yard.commit("ada", "keys/allowed_signers", yard.people.allowed("ada"), on=at))
    for by in ("eve", "ada"):
        assert court.accept(yard.commit(by, on=at), epoch=1).signers == (by,)


def test_a_lost_clone_and_a_raised_epoch_leave_the_first_keys(court: Court, yard: Yard) -> None:
    assert court.deployed
    court.deployed = replace(court.deployed, revision=replace(court.deployed.revision, commit="1" * 40))
    new = yard.commit("ben", on="")
    assert court.refuses("NotDescending", new), "whether it is related nobody can tell"
    assert court.accept(new, epoch=2).signers == ("ben",)
    court.refuses("UnknownKey", yard.commit("eve", on=""), epoch=2)


def test_whoever_turns_signatures_on_brings_the_first_keys_where_there_are_none(yard: Yard, tmp_path: Path) -> None:
    def turning(by: str, on: str) -> str:
        listed = yard.commit("", "keys/allowed_signers", yard.people.allowed("eve"), on=on)
        return yard.commit(by, "fleet.yaml", "source: {sign: head}\n", on=listed)

    court = Court(yard, tmp_path)
    court.deploy(yard.start, Policy())
    assert court.accept(turning("eve", yard.start)).signers == ("eve",)
    court.refuses("UnknownKey", turning("ada", yard.start))
    assert court.accept(yard.commit("", on=yard.start)).signers == ()
    (tmp_path / "first").write_text(yard.people.allowed("ada"))
    court.first = FirstKeys(tmp_path / "first")
    court.refuses("UnknownKey", turning("eve", yard.start))
    assert court.accept(turning("ada", yard.start)).signers == ("ada",), "the settings name somebody already"


def test_where_signatures_are_asked_for_and_the_first_keys_are_gone_nobody_brings_their_own(
    court: Court, yard: Yard, deployed: str
) -> None:
    court.first = FirstKeys()
    court.refuses("NobodyTrusted", yard.commit("eve", "keys/allowed_signers", yard.people.allowed("eve"), on=deployed))

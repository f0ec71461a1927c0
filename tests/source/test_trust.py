"""Whom we believe, rule by rule: what each refuses, and by which name, at the very edge of what it allows."""

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import replace

import pytest

from gitops.errors import Reason, SourceError
from gitops.model import Entry, PathRule, Policy, Revision, Sign
from gitops.source.trust import releases, rules
from gitops.source.trust.approvals import MAX_APPROVALS
from gitops.source.trust.deployed import MAX_STATES, Deployed, Remembered
from gitops.source.trust.objects import Signed, loose, read
from gitops.source.trust.releases import MAX_BARE
from gitops.source.versions import deployed_version, next_patch, version

LAST = Revision("main", "a" * 40, 10, 0)
NEXT = Revision("main", "b" * 40, 11, 0)
ADA, BEN = PathRule(("sites/**", "boxes/**"), ("ada",)), PathRule(("pkg",), ("ben",))


def reason_of(*words: object, of: object, **named: object) -> tuple[Reason | None, str, str]:
    with pytest.raises(SourceError) as caught:
        of(*words, **named)  # type: ignore[operator]
    return caught.value.reason, caught.value.message, caught.value.hint


# --- history ---


@pytest.mark.parametrize(
    ("last", "new", "descends", "raised"),
    [
        (None, NEXT, False, False),
        (LAST, replace(LAST, ref="v1.0.0"), False, False),
        (LAST, NEXT, True, False),
        (LAST, NEXT, False, True),
    ],
    ids=["first", "the-same-commit", "descendant", "raised"],
)
def test_what_may_follow(last: Revision | None, new: Revision, descends: bool, raised: bool) -> None:
    rules.accept(last, new, descends=descends, raised=raised)


@pytest.mark.parametrize(("related", "reason"), [(True, "NotDescending"), (False, "ReplacedRepository")])
def test_another_history_is_named_by_what_became_of_it(related: bool, reason: str) -> None:
    words = {"descends": False, "raised": False, "related": related}
    assert reason_of(LAST, NEXT, of=rules.accept, **words)[0] == Reason(reason)


@pytest.mark.parametrize(("sequence", "raise_by"), [(10, 1), (7, 4)])
@pytest.mark.parametrize(("descends", "raised"), [(True, False), (False, True)])
def test_boxes_never_get_a_lower_sequence_and_whoever_raises_the_epoch_is_told_by_how_much(
    sequence: int, raise_by: int, descends: bool, raised: bool
) -> None:
    new = replace(NEXT, sequence=sequence)
    reason, _, hint = reason_of(LAST, new, of=rules.accept, descends=descends, raised=raised)
    assert reason is Reason.lower_sequence and f"by {raise_by} or more" in hint


# --- which policy judges ---


@pytest.mark.parametrize(
    ("old", "new", "named", "sign"),
    [
        (None, Policy(), False, Sign.none),
        (None, Policy(), True, Sign.head),
        (None, Policy(tags="v*"), True, Sign.tag),
        (None, Policy(sign=Sign.every_commit), True, Sign.every_commit),
        (None, Policy(sign=Sign.both), False, Sign.both),
        (Policy(), Policy(), True, Sign.none),
        (Policy(), Policy(sign=Sign.both), False, Sign.head),
        (Policy(tags="v*"), Policy(sign=Sign.both), False, Sign.tag),
        (Policy(sign=Sign.both), Policy(), False, Sign.both),
        (Policy(sign=Sign.tag), Policy(sign=Sign.head), False, Sign.tag),
    ],
)
def test_no_unsigned_commit_switches_signatures_off_or_on(
    old: Policy | None, new: Policy, named: bool, sign: Sign
) -> None:
    ruled = replace(new, rules=(ADA,))
    judged = rules.judging(old, ruled, first_signers=named)
    assert judged.sign is sign and judged.rules == (), "rules of nobody who was believed so far do not hold yet"


def test_the_rules_of_a_signed_policy_judge_whatever_the_new_one_says() -> None:
    old = Policy(sign=Sign.head, rules=(ADA,))
    assert rules.judging(old, Policy(sign=Sign.both), first_signers=True) is old


@pytest.mark.parametrize(
    ("names", "enough", "counted"),
    [
        (["ada", "ben"], True, ""),
        (["ada2", "ben"], True, ""),
        (["ada", "ada"], False, "1 of 2 people: ada"),
        (["ada", "ada2"], False, "1 of 2 people: ada"),
        (["ada2"], False, "1 of 2 people: ada"),
        (["nobody-knows"], False, "1 of 2 people: nobody-knows"),
        ([], False, "0 of 2 people: nobody"),
    ],
)
def test_a_threshold_counts_people_and_not_signatures_or_names(names: list[str], enough: bool, counted: str) -> None:
    words = (Policy(threshold=2), "v1.0.0", names, {"ada": "ada", "ada2": "ada", "ben": "ben"})
    if enough:
        return rules.check_threshold(*words)
    reason, message, hint = reason_of(*words, of=rules.check_threshold)
    assert reason is Reason.threshold_not_met and message == f"v1.0.0 is signed by {counted}"
    assert "approved/v1.0.0/NAME" in hint


# --- paths ---


@pytest.mark.parametrize(
    ("changed", "signers", "refused"),
    [
        (["boxes/a.yaml"], ["ada"], ""),
        (["boxes/a.yaml", "pkg/x"], ["ada", "ben"], ""),
        (["README.md"], [], ""),
        (["pkg/x", "boxes/b", "boxes/a"], ["ben"], "changes boxes/a, which needs one of ada; signed by ben"),
        (["boxes/a", "pkg/x"], ["ada"], "changes pkg/x, which needs one of ben; signed by ada"),
        (["pkg/x"], [], "changes pkg/x, which needs one of ben; signed by nobody"),
    ],
)
def test_every_rule_that_a_path_falls_under_needs_one_of_its_people(
    changed: list[str], signers: list[str], refused: str
) -> None:
    words = ([ADA, BEN], changed, signers, "main@1")
    if not refused:
        return rules.check_rules(*words)
    assert reason_of(*words, of=rules.check_rules)[:2] == (Reason.rule_not_met, f"main@1 {refused}")


BOT = PathRule(("pkg/*/packages.lock", "**/*.sum"), ("bot",))
SHORT = PathRule(("docs",), ("bot", "ada"))


@pytest.mark.parametrize(
    ("changed", "signers", "beyond"),
    [
        (["pkg/a/packages.lock", "docs"], ["bot"], ""),
        (["docs"], ["ada"], ""),
        (["pkg/a/file"], ["ben"], ""),
        (None, ["ben"], ""),
        ([], ["bot"], ""),
        (["docs/deep"], ["bot"], "docs/deep, and bot may sign for pkg/*/packages.lock, **/*.sum, docs alone"),
        (["z", "pkg/a/packages.lock", "b"], ["bot"], "b, and bot may"),
        (["pkg/a/packages.lock"], ["ada", "bot"], "pkg/a/packages.lock, and ada may sign for docs alone"),
        (["keys/go.sum"], ["bot"], "keys/go.sum, and bot"),
        (["fleet.yaml/go.sum"], ["bot"], "fleet.yaml/go.sum, and bot"),
        (["keys-of-mine/go.sum"], ["bot"], ""),
        (None, ["ben", "bot"], "everything, and bot may"),
    ],
)
def test_a_limited_signer_changes_what_their_limits_name_and_never_what_says_whom_to_trust(
    changed: list[str] | None, signers: list[str], beyond: str
) -> None:
    words = ([BOT, SHORT], changed, signers, "main@1")
    if not beyond:
        return rules.check_limits(*words)
    reason, message, _ = reason_of(*words, of=rules.check_limits)
    assert reason is Reason.beyond_limit and message.startswith(f"main@1 changes {beyond}")


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("pkg", "pkg/a/b", True),
        ("pkg", "pkg", True),
        ("pkg", "pkgs", False),
        ("p?g", "pxg", True),
        ("p?g", "p/g", False),
        ("*.yaml", "a/b.yaml", False),
        ("**.yaml", "a/b.yaml", False),
        ("**.yaml", "b.yaml", True),
        ("**/*.yaml", "a/b.yaml", True),
        ("**/*.yaml", "b.yaml", True),
        ("boxes/*", "boxes/a\nb", True),
        ("a.b", "axb", False),
    ],
)
def test_a_glob_means_no_more_than_it_says(pattern: str, path: str, meant: bool) -> None:
    assert bool(rules.glob(pattern).fullmatch(path)) is meant


def test_a_path_changed_when_its_content_its_mode_or_its_being_there_did() -> None:
    def tree(*rows: tuple[str, int, str]) -> Mapping[str, Entry]:
        return {path: Entry(path, mode, id_, 1) for path, mode, id_ in rows}

    old = tree(("same", 0o644, "1"), ("words", 0o644, "1"), ("mode", 0o644, "1"), ("gone", 0o644, "1"))
    new = tree(("same", 0o644, "1"), ("words", 0o644, "2"), ("mode", 0o755, "1"), ("new", 0o644, "1"))
    assert rules.changed_paths(old, new) == {"words", "mode", "gone", "new"}
    assert rules.changed_paths(old, old) == set()


# --- a policy does not come back ---

SIGNED = Policy(sign=Sign.head)


@pytest.mark.parametrize(
    ("policy", "state", "states"),
    [
        (None, "one", ["one", "two"]),
        (Policy(), "one", ["one", "two"]),
        (SIGNED, "three", ["one", "two"]),
        (SIGNED, "two", ["one", "two"]),
        (SIGNED, "two", ["two", "one", "two"]),
        (SIGNED, "one", []),
    ],
    ids=["first", "unsigned", "new", "present", "present-again", "none-yet"],
)
def test_a_state_of_trust_that_is_new_or_the_present_one_is_no_rollback(
    policy: Policy | None, state: str, states: list[str]
) -> None:
    rules.check_rollback(policy, state, states)


def test_a_state_of_trust_that_was_replaced_does_not_come_back() -> None:
    words = (SIGNED, "one", ["one", "two"])
    assert reason_of(*words, of=rules.check_rollback)[0] is Reason.policy_rollback


def test_the_name_of_a_state_changes_with_its_keys_and_with_who_must_sign_what_and_with_nothing_else() -> None:
    def name(policy: Policy = SIGNED, **files: str) -> str:
        paths = {path.replace("_", "/"): id_ for path, id_ in files.items()}
        return rules.policy_state(policy, {path: Entry(path, 0o644, id_, 1) for path, id_ in paths.items()})

    same = name(keys_ada="1", README="1")
    assert same == name(keys_ada="1", README="2") == name(replace(SIGNED, canaries=3), keys_ada="1")
    others = [name(keys_ada="2"), name(), name(keys_ada="1", keys_ben="1"), name(Policy(), keys_ada="1")]
    for change in ({"rules": (ADA,)}, {"limits": (ADA,)}, {"threshold": 2}, {"tags": "v*"}, {"branch": "next"}):
        others.append(name(replace(SIGNED, **change), keys_ada="1"))  # type: ignore[arg-type]
    assert len({same, *others}) == 1 + len(others)


@pytest.mark.parametrize("policy", [Policy("next", Sign.tag, tags="v*", threshold=2, rules=(ADA, BEN), limits=(BOT,))])
def test_a_remembered_policy_judges_as_it_did(policy: Policy) -> None:
    row = rules.source_part(policy)
    assert rules.policy_of(row) == policy and rules.policy_of({**row, "quorum": 3}) == policy
    assert rules.policy_of({}) == Policy() and rules.policy_of({"rules": None, "limits": None}) == Policy()
    with pytest.raises(ValueError, match="quorum"):
        rules.policy_of({**row, "sign": "quorum"})


# --- release tags ---


def eligible(*names: str, last: str = "", annotated: tuple[str, ...] = (), pattern: str = "v*") -> list[str]:
    revision = Revision(last, "a" * 40, 1, 0) if last else None
    return releases.eligible(dict.fromkeys(names, "1" * 40), pattern, revision, annotated)


@pytest.mark.parametrize(
    ("names", "last", "order"),
    [
        (["v1.0.0", "v1.10.0", "v1.9.0", "latest", "w9.0.0"], "", ["v1.10.0", "v1.9.0", "v1.0.0"]),
        (["v1.0.0", "v1.1.0", "v0.9.0"], "v1.0.0", ["v1.1.0", "v1.0.0"]),
        (["v1.0.0", "v1.0", "v1"], "v1.0.0", ["v1.0.0"]),
        (["v1.0.0", "v1.0", "v1"], "v1", ["v1"]),
        (["v1.0.0", "v1.0.1", "v1.0", "v1"], "v1", ["v1.0.1", "v1"]),
        (["v1.0", "v1.0.0"], "", ["v1.0.0"]),
        (["v1.0.0+b", "v1.0.0", "v1.0.0+a"], "", ["v1.0.0", "v1.0.0+b", "v1.0.0+a"]),
        (["v1.0.0+b", "v1.0.0", "v1.0.0+a"], "v1.0.0+a", ["v1.0.0+a"]),
        (["v1.1.0", "v1.1.0-rc.1", "v1.0.0"], "v1.0.0", ["v1.1.0", "v1.1.0-rc.1", "v1.0.0"]),
        (["v0.1.0"], "site-9.0.0", ["v0.1.0"]),
        (["v0.1.0"], "main", ["v0.1.0"]),
    ],
)
def test_the_best_release_comes_first_and_the_deployed_one_last(names: list[str], last: str, order: list[str]) -> None:
    assert eligible(*names, last=last) == order
    approvals = ("approved/v99.0.0", "approved/site-99.0.0")
    assert eligible(*names, *approvals, last=last, pattern="[va]*") == order, "an approval is no release"


@pytest.mark.parametrize(
    ("names", "last", "reason"),
    [
        ([], "", "NoRelease"),
        (["latest", "w1.0.0", "v1.0", "v1", "v1.0.0_2"], "", "NoRelease"),
        (["v1.0.0", "v0.9.0"], "v1.1.0", "LowerVersion"),
        (["v1.0.0", "v0.9.0"], "v1.1", "LowerVersion"),
        (["v1.0.0", "v0.9.0"], "v1.0.0+a", "LowerVersion"),
    ],
)
def test_no_release_and_lower_ones_alone_are_refused(names: list[str], last: str, reason: str) -> None:
    said, message, _ = reason_of(*names, of=eligible, last=last)
    assert said == Reason(reason) and (
        reason == "NoRelease" or message == f"v1.0.0 is no higher than the deployed {last}"
    )


def test_a_flood_of_bare_tags_takes_no_place_away_from_signed_ones() -> None:
    bare = [f"v2.{number}.0" for number in range(3 * MAX_BARE)]
    good = [f"v1.{number}.0" for number in range(3 * MAX_BARE)]
    tried = eligible(*bare, *good, annotated=tuple(good))
    assert tried == bare[: -MAX_BARE - 1 : -1] + good[::-1]


@pytest.mark.parametrize(
    ("name", "patch"),
    [
        ("v1.2.3", "v1.2.4"),
        ("v1.2", "v1.2.1"),
        ("v1", "v1.0.1"),
        ("v1.2.3-rc.1", "v1.2.3"),
        ("v1.2.3+build.7", "v1.2.4"),
        ("site-a-1.2.3", "site-a-1.2.4"),
        ("7", "7.0.1"),
    ],
)
def test_the_next_patch_is_higher_and_changes_nothing_else(name: str, patch: str) -> None:
    assert next_patch(name) == patch
    before, after = deployed_version(name), version(patch)
    assert before and after and before < after
    with pytest.raises(SourceError, match="ends with no version"):
        next_patch("latest")


def test_a_tag_that_was_deployed_stays_what_it_was_while_it_is_there() -> None:
    deployed = {"v1.0.0": "1", "v1.1.0": "2"}
    assert releases.moved({"v1.0.0": "1", "v2.0.0": "9"}, deployed) == {}
    found = releases.moved({"v1.0.0": "1", "v1.1.0": "3", "v2.0.0": "9"}, deployed)
    assert [(name, error.reason) for name, error in found.items()] == [("v1.1.0", Reason.moved_tag)]
    assert "v1.1.0" in found["v1.1.0"].message


def tag(**headers: str) -> Signed:
    return Signed("tag", "1", b"", headers, b"", b"")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"tag": "v0.9.0", "type": "commit"}, "RenamedTag"),
        ({"type": "commit"}, "RenamedTag"),
        ({"tag": "v1.0.0", "type": "tag"}, "NestedTag"),
        ({"tag": "v1.0.0", "type": "tree"}, "TagOfNoCommit"),
        ({"tag": "v1.0.0"}, "TagOfNoCommit"),
    ],
)
def test_a_tag_says_its_own_name_and_names_a_commit(headers: dict[str, str], reason: str) -> None:
    assert reason_of("v1.0.0", tag(object="c", **headers), of=releases.check_tag)[0] == Reason(reason)
    assert releases.check_tag("v1.0.0", tag(object="c", tag="v1.0.0", type="commit")) == "c"


def test_approvals_are_of_this_release_on_this_commit_and_all_of_them() -> None:
    """How many of them are looked at is decided where their keys are known (test_judge.py)."""
    peeled = {f"approved/v1.0.0/p{number:03}": "c" for number in range(2 * MAX_APPROVALS)}
    others = {"approved/v1.0.0/eve": "d", "approved/v1.0.01/ben": "c", "approved/v1.0.0": "c"}
    found = releases.approvals({**others, **dict(reversed(peeled.items()))}, "v1.0.0", "c")
    assert found == sorted(peeled)


# --- signed objects ---

SSH = b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----"
PGP = b"-----BEGIN PGP SIGNATURE-----\n\nBBBB\n-----END PGP SIGNATURE-----"
X509 = b"-----BEGIN SIGNED MESSAGE-----\nCCCC\n-----END SIGNED MESSAGE-----"
TOP = b"tree 1\nparent 2\nparent 3\nauthor ada <a> 1 +0000"


def header(name: bytes, value: bytes) -> bytes:
    """A header whose value goes on in further lines (gitformat-signature)."""
    return b"\n" + name + b" " + value.replace(b"\n", b"\n ")


MERGED = header(b"mergetag", b"object 3\ntag v1\n\nwords\n" + PGP)


@pytest.mark.parametrize("place", [5, 20, 40])
def test_a_nul_among_the_headers_is_damage(place: int) -> None:
    """Some readers end there, and others go on."""
    raw = TOP[:place] + b"\0" + TOP[place:] + b"\n\nwords\n"
    assert reason_of(loose("commit", raw), of=read)[0] is Reason.bad_object
    assert read(loose("commit", TOP + b"\n\nwor\0ds\n")).payload.endswith(b"wor\0ds\n")


@pytest.mark.parametrize("value", [SSH, PGP])
@pytest.mark.parametrize(("before", "after"), [(b"", b""), (MERGED, b""), (b"", MERGED), (b"", b"\nencoding x")])
@pytest.mark.parametrize("odd", [b"", b" a line that goes on from nothing\n"])
def test_a_commits_signature_covers_all_but_itself(value: bytes, before: bytes, after: bytes, odd: bytes) -> None:
    body = b"\n\nwords\n\n" + SSH + b"\nin the message are words\n"
    signed = read(loose("commit", odd + TOP + before + header(b"gpgsig", value) + after + body))
    assert signed.signature == value + b"\n"
    assert signed.payload == odd + TOP + before + after + body
    assert signed.headers["parent"] == "2" and signed.headers["author"] == "ada <a> 1 +0000"
    assert signed.name == f"commit {signed.id}" == f"commit {hashlib.sha1(signed.loose).hexdigest()}"


def test_a_signature_where_git_looks_for_none_is_none() -> None:
    """Of the object as a SHA-256 repository has it; in the headers of a tag."""
    told = [("commit", b"gpgsig-sha256"), ("tag", b"gpgsig-sha256"), ("tag", b"gpgsig")]
    for kind, name in told:
        raw = (TOP if kind == "commit" else TAG[: TAG.index(b"\n\n")]) + header(name, SSH) + b"\n\nwords\n"
        assert (read(loose(kind, raw)).signature, read(loose(kind, raw)).payload) == (b"", raw)


TAG = b"object 1\ntype commit\ntag v1.0.0\ntagger ada <a> 1 +0000\n\nwords\n"


@pytest.mark.parametrize("value", [SSH, PGP, X509])
def test_a_tags_signature_stands_below_its_message_and_covers_what_is_above(value: bytes) -> None:
    signed = read(loose("tag", TAG + value + b"\n"))
    assert (signed.payload, signed.signature) == (TAG, value + b"\n")
    assert signed.name == "tag 'v1.0.0'" and signed.kind == "tag"
    bare = read(loose("tag", TAG + b"not at the start of a line: " + value))
    assert bare.signature == b"" and bare.payload == TAG + b"not at the start of a line: " + value


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("commit", TOP + header(b"gpgsig", SSH) + header(b"gpgsig-sha256", SSH) + b"\n\nwords\n"),
        ("commit", TOP + header(b"gpgsig", SSH + b"\n" + PGP) + b"\n\nwords\n"),
        ("commit", TOP + header(b"gpgsig", SSH + b"\n" + SSH) + b"\n\nwords\n"),
        ("tag", TAG + SSH + b"\n" + PGP + b"\n"),
        ("tag", TAG + PGP + b"\n" + X509 + b"\n"),
        ("tag", TAG[: TAG.index(b"\n\n")] + header(b"gpgsig", SSH) + b"\n\nwords\n" + SSH + b"\n"),
    ],
)
def test_what_two_readers_could_take_in_two_ways_is_refused(kind: str, raw: bytes) -> None:
    reason, message, _ = reason_of(loose(kind, raw), of=read)
    assert reason is Reason.several_signatures and message.startswith(f"{kind} ")


@pytest.mark.parametrize(
    "data",
    [b"", b"commit 3", *(head + b"\0abc" for head in (b"tree 3", b"commit 4", b"commit 03", b"commit 3 ", b"\xff 3"))],
)
def test_what_is_no_commit_and_no_tag_is_refused(data: bytes) -> None:
    assert reason_of(data, of=read)[0] is Reason.bad_object
    assert read(b"commit 3\0abc").signature == b""


def test_an_object_has_the_name_that_git_gives_it() -> None:
    raw = TOP + header(b"gpgsig", SSH) + b"\n\nwords\n"
    command = ["git", "hash-object", "-t", "commit", "--literally", "--stdin"]
    name = subprocess.run(command, input=raw, capture_output=True, check=True).stdout
    assert read(loose("commit", raw)).id == name.decode().strip()


# --- what is remembered ---


def test_the_next_deployed_one_remembers_each_state_once_the_present_one_last_and_not_without_end() -> None:
    first = Deployed(LAST, 3, SIGNED, ("one", "two", "three"), {"v1.0.0": "1"})
    new = replace(NEXT, ref="v1.1.0")
    again = first.after(new, Policy(), "two", "2")
    assert again == Deployed(new, 3, Policy(), ("one", "three", "two"), {"v1.0.0": "1", "v1.1.0": "2"})
    assert first.after(NEXT, SIGNED, "two", "").tags == first.tags, "a branch is no tag"
    full = replace(first, states=tuple(map(str, range(MAX_STATES))))
    assert full.after(new, SIGNED, "new", "").states == (*full.states[1:], "new")


def test_a_question_remembers_as_long_as_it_is_asked_and_keeps_what_it_judged_by_its_digest() -> None:
    memory, deployed = Remembered(), Deployed(LAST, 0, SIGNED)
    assert memory.last() is None
    memory.save(deployed)
    assert memory.last() is deployed
    (ref,) = memory.keep([read(b"commit 3\0abc")])
    assert (ref.sha256, ref.size) == (hashlib.sha256(b"commit 3\0abc").hexdigest(), 12)

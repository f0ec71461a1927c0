"""SSH certificate authorities: who counts by a certificate, for what, as whom, and why others do not."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.errors import Reason, SourceError
from gitops.fleet import key_mistakes
from gitops.fleet.keys.listed import lines
from gitops.source import FolderTree
from gitops.source.trust.objects import Signed
from gitops.source.trust.signatures import Trust, names
from gitops.source.trust.ssh import sshsig
from tests.kit.people import People
from tests.kit.trust import Story

ALLOWED, REVOKED = "keys/allowed_signers", "keys/revoked_keys"
WORDS = b"tree 1\nauthor ada\n\nwords\n"
EVERYBODY = "*@example.org"
ADA, BEN = "ada@example.org", "ben@example.org"
TAGS = 'source: {tags: "v*", sign: tag, threshold: 2}\n'


def with_authorities(made: People) -> People:
    for name, kind in (("ca", "ed25519"), ("other-ca", "ed25519"), ("rsa-ca", "rsa")):
        made.key_of(name, kind)
    return made


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """The same people and authorities for all stories of single signatures."""
    made = with_authorities(People(tmp_path_factory.mktemp("p") / "people"))
    yield made
    made.close()


def sign(people: People, key: str, words: bytes = WORDS) -> Signed:
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(people.key(key))]
    signature = subprocess.run(command, input=words, capture_output=True, check=True).stdout
    return Signed("commit", "1" * 40, b"", {}, signature, words)


def certified(people: People, principals: str, *options: str, by: str = "ca", key: str = "ada") -> Signed:
    return sign(people, people.certified(key, principals, *options, by=by))


def armoured(body: bytes) -> bytes:
    text = base64.b64encode(body)
    wrapped = b"\n".join(text[at : at + 70] for at in range(0, len(text), 70))
    return b"-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n" % wrapped


def reason(signed: Signed, allowed: str, revoked: bytes = b"", at: int | None = None) -> str:
    """Who signed, or why that does not count."""
    try:
        return ",".join(names(signed, Trust(allowed.encode(), revoked=revoked, place="keys/"), at))
    except SourceError as refusal:
        assert refusal.hint
        return str(refusal.reason)


# --- one certificate --------------------------------------------------------------------------------------------------


GOOD = {
    "by a pattern": (ADA, EVERYBODY, ADA),
    "by name": (ADA, f"{BEN},{ADA}", ADA),
    "by two names": (f"{ADA},ada@example.com", "*@example.org,*@example.com", f"{ADA},ada@example.com"),
    "those names alone that the authority may certify": (f"root,{ADA}", EVERYBODY, ADA),
    "never by a pattern in itself": (f"*@example.org,{ADA}", EVERYBODY, ADA),
    "beside one who is left out": (f"{ADA},{BEN}", f"!{ADA},{EVERYBODY}", BEN),
}


@pytest.mark.parametrize(("principals", "line", "who"), GOOD.values(), ids=GOOD)
def test_a_certificate_counts_for_its_names_that_its_authority_may_certify(
    crowd: People, principals: str, line: str, who: str
) -> None:
    assert reason(certified(crowd, principals), crowd.authority(line, 'namespaces="git"')) == who


BAD = {
    "expired": ((ADA, "-V", "20200101:20210101"), "ExpiredKey"),
    "not valid yet": ((ADA, "-V", "20900101:20910101"), "ExpiredKey"),
    "of a host": ((ADA, "-h"), "HostCertificate"),
    "for nobody": (("",), "WrongPrincipal"),
    "for somebody else": (("root",), "WrongPrincipal"),
    "for everybody": ((EVERYBODY,), "WrongPrincipal"),
    "for a name with a space": (("ada x@example.org",), "WrongPrincipal"),
    "for too many": ((",".join(f"n{number}@example.org" for number in range(33)),), "WrongPrincipal"),
    "with a forced command": ((ADA, "-O", "force-command=/bin/true"), "CriticalOption"),
    "from one address alone": ((ADA, "-O", "source-address=192.0.2.0/24"), "CriticalOption"),
    "with an option that nobody knows": ((ADA, "-O", "critical:quorum@example.org=2"), "CriticalOption"),
}


@pytest.mark.parametrize(("made", "why"), BAD.values(), ids=BAD)
def test_a_certificate_that_does_not_count_says_why(crowd: People, made: tuple[str, ...], why: str) -> None:
    signed = certified(crowd, *made)
    assert reason(signed, crowd.authority(EVERYBODY)) == why
    assert reason(signed, crowd.authority(EVERYBODY, by="other-ca")) == "UnknownKey", "nobody asks about strangers'"


def test_a_certificate_is_good_at_its_time(crowd: People) -> None:
    signed = certified(crowd, ADA, "-V", "20200101:20210101")
    assert reason(signed, crowd.authority(EVERYBODY), at=1_590_000_000) == ADA
    assert reason(signed, crowd.authority(EVERYBODY), at=1_620_000_000) == "ExpiredKey"


LINES = {
    "expired": ('valid-before="20200101"', "ExpiredKey"),
    "not valid yet": ('valid-after="20900101"', "ExpiredKey"),
    "for files": ('namespaces="file"', "UnknownKey"),
}


@pytest.mark.parametrize(("options", "why"), LINES.values(), ids=LINES)
def test_an_authority_s_own_line_has_bounds(crowd: People, options: str, why: str) -> None:
    assert reason(certified(crowd, ADA), crowd.authority(EVERYBODY, options)) == why


def test_sha_1_vouches_for_nobody(crowd: People) -> None:
    allowed = crowd.authority(EVERYBODY, by="rsa-ca")
    assert reason(certified(crowd, ADA, "-t", "ssh-rsa", by="rsa-ca"), allowed) == "WeakCertificate"
    assert reason(certified(crowd, ADA, by="rsa-ca"), allowed) == ADA


def test_an_authority_s_own_signature_is_nobody_s_and_neither_is_a_key_without_its_certificate(crowd: People) -> None:
    assert reason(sign(crowd, "ca"), crowd.authority(EVERYBODY)) == "UnknownKey"
    assert reason(sign(crowd, "ada"), crowd.authority(EVERYBODY)) == "UnknownKey"
    assert reason(certified(crowd, ADA), crowd.allowed("ada")) == "UnknownKey"


def test_a_forged_certificate_is_damage(crowd: People) -> None:
    """Another name of the same length, in a certificate whose authority did not sign that."""
    honest = certified(crowd, "eve@example.org")
    body = base64.b64decode(b"".join(honest.signature.split(b"\n")[1:-2]))
    signed = Signed("commit", "1" * 40, b"", {}, armoured(body.replace(b"eve@", b"ada@")), WORDS)
    assert reason(signed, crowd.authority(EVERYBODY)) == "BadSignature"


def test_a_certificate_of_a_key_that_python_cannot_read_is_refused_by_its_authority_s_signature(crowd: People) -> None:
    """A point that is written short (SEC 1, 2.3.3): whoever may push tags would end every poll by one of these."""
    crowd.key_of("short", "ecdsa")
    honest = certified(crowd, ADA, key="short")
    body = base64.b64decode(b"".join(honest.signature.split(b"\n")[1:-2]))
    signed = Signed("tag", "1" * 40, b"", {}, armoured(body.replace(b"\0\0\0\x41\x04", b"\0\0\0\x41\x02")), WORDS)
    trust = Trust(crowd.authority(EVERYBODY).encode())
    assert trust.knows(signed) and trust.doubts(signed)
    assert reason(signed, crowd.authority(EVERYBODY)) == "BadSignature"


def test_a_listed_certificate_opens_no_way_around_its_end(crowd: People) -> None:
    """For ssh-keygen a certificate in the place of a key counts whatever its dates say."""
    old = crowd.certified("ada", ADA, "-V", "20200101:20210101")
    text = " ".join(crowd.key(old).read_text().split()[:2])
    for allowed in (f"{ADA} {text}\n", crowd.authority(EVERYBODY) + f"{ADA} {text}\n"):
        assert reason(sign(crowd, old), allowed) in ("UnknownKey", "ExpiredKey")
    crowd_ca = crowd.certified("other-ca", ADA)
    text = " ".join(crowd.key(crowd_ca).read_text().split()[:2])
    assert reason(certified(crowd, ADA, by="other-ca"), f"{EVERYBODY} cert-authority {text}\n") == "UnknownKey"


def revocations(people: People, *said: str, by: str = "ca") -> bytes:
    """A key revocation list, of lines as ssh-keygen(1) has them."""
    spec, krl = people.folder / "spec", people.folder / "krl"
    spec.write_text("".join(f"{line}\n" for line in said))
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", krl, "-s", people.folder / f"{by}.pub", spec], check=True)
    return krl.read_bytes()


REVOKED_BY = {
    "its serial": lambda people: revocations(people, "serial: 5-9"),
    "its id": lambda people: revocations(people, "id: id-ada"),
    "its key": lambda people: f"{people.public('ada')}\n".encode(),
    "its authority": lambda people: f"{people.public('ca')}\n".encode(),
    "a hash of its key": lambda people: revocations(people, f"key: {people.public('ada')}"),
    "a damaged list": lambda people: b"SSHKRL\n\0junk",
}


@pytest.mark.parametrize("said", REVOKED_BY.values(), ids=REVOKED_BY)
def test_a_certificate_is_revoked_by(crowd: People, said: object) -> None:
    revoked = said(crowd)  # type: ignore[operator]
    assert reason(certified(crowd, ADA, "-z", "7"), crowd.authority(EVERYBODY), revoked) == "RevokedKey"


def test_what_revokes_another_s_certificate_leaves_this_one(crowd: People) -> None:
    revoked = revocations(crowd, "serial: 8", "id: id-eve", f"key: {crowd.public('eve')}")
    assert reason(certified(crowd, ADA, "-z", "7"), crowd.authority(EVERYBODY), revoked) == ADA


PATTERNS = ["*", "a*", "*a", "a?a", "*d*", "ad?", "a*d*a", "ada", "?*?", "b*", "a*aa", "??", "*,!ada", "!*", "!a*,*"]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", ["ada", "a"])
def test_patterns_mean_what_they_mean_to_ssh_keygen(crowd: People, pattern: str, name: str) -> None:
    said = crowd.folder / "patterns"
    said.write_text(f'"{pattern}" {crowd.public("ada")}\n')
    words = ["ssh-keygen", "-Y", "match-principals", "-I", name, "-f", str(said)]
    theirs = subprocess.run(words, capture_output=True, check=False).returncode == 0
    (line,) = lines(f'"{pattern}" cert-authority {crowd.public("ada")}'.encode())
    assert line.vouches(name) is theirs


def test_an_option_s_text_makes_no_authority(crowd: People) -> None:
    """One key in two lines is one person, whatever stands between quotes."""
    (line,) = lines(f'ada namespaces="git,cert-authority,x" {crowd.public("ada")}'.encode())
    assert not line.authority


@pytest.mark.parametrize("cut", [1, 40, 200, 500])
def test_a_cut_off_certificate_names_nobody(crowd: People, cut: int) -> None:
    blob = base64.b64decode(crowd.key(crowd.certified("ada", ADA)).read_text().split()[1])
    assert sshsig.claim(blob).certificate
    with pytest.raises(ValueError, match="cut off"):
        sshsig.claim(blob[: min(cut, len(blob) - 1)])


# --- policies ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def made(people: People) -> People:
    return with_authorities(people)


def following(folder: Path, people: People, policy: str, allowed: str) -> Story:
    """Ada's certificate deployed the policy."""
    story = Story(folder, people)
    story.first.write_text(allowed)
    story.source = story.started()
    story.commit(policy, people.certified("ada", ADA), "fleet.yaml")
    return story


def test_rules_name_people_that_only_an_authority_knows(tmp_path: Path, made: People) -> None:
    policy = f"source: {{sign: head, rules: [{{paths: [boxes], signers: ['{BEN}']}}]}}\n"
    story = following(tmp_path, made, policy, made.authority(EVERYBODY))
    story.deploy()
    story.commit("a", made.certified("ada", ADA), "boxes/a.yaml")
    assert BEN in story.refused("RuleNotMet").message
    story.commit("b", made.certified("ben", BEN), "boxes/a.yaml")
    assert story.source.poll().signers == (BEN,)


def approve(story: Story, name: str, by: str) -> None:
    story.tag(f"approved/v1.0.0/{name}", by, at="v1.0.0^{}")


ONE = {
    "two certificates of a name": lambda people: people.certified("ben", ADA),
    "two certificates of a key": lambda people: people.certified("ada", BEN),
    "a name that two certificates share": lambda people: people.certified("ben", f"{BEN},{ADA}"),
    "the key itself, listed": lambda people: "ada",
}


@pytest.mark.parametrize("other", ONE.values(), ids=ONE)
def test_a_threshold_counts_one_person_once(tmp_path: Path, made: People, other: object) -> None:
    story = following(tmp_path, made, TAGS, made.authority(EVERYBODY) + made.allowed("ada"))
    story.tag("v1.0.0", made.certified("ada", ADA))
    approve(story, "again", other(made))  # type: ignore[operator]
    assert "1 of 2 people" in story.refused("ThresholdNotMet").message
    approve(story, "ben", made.certified("eve", "eve@example.org"))
    story.source = story.started()
    assert story.source.poll().ref == "v1.0.0"


def test_a_limited_key_is_limited_by_whatever_certificate(tmp_path: Path, made: People) -> None:
    policy = f"source: {{sign: head, limits: [{{paths: [images.lock], signers: ['{BEN}', eve]}}]}}\n"
    story = following(tmp_path, made, policy, made.authority(EVERYBODY) + made.allowed("eve"))
    story.deploy()
    for key, name in (("ben", BEN), ("ben", f"free@example.org,{BEN}"), ("eve", "eve@example.org")):
        story.commit(f"evil by {name}", made.certified(key, name))
        story.refused("BeyondLimit")
        story.remote.git("reset", "-q", "--hard", "HEAD~1")
        story.remote.git("push", "-q", "-f", "origin", "HEAD")
    story.commit("a", made.certified("eve", "eve@example.org"), "images.lock")
    assert story.source.poll().signers == ("eve@example.org",)


# --- nobody is locked out ---------------------------------------------------------------------------------------------


def listing(tmp_path: Path, people: People) -> Story:
    story = Story(tmp_path, people)
    story.commit("source: {sign: head}\n", "ada", "fleet.yaml")
    story.deploy()
    return story


def mistakes(story: Story) -> list[str]:
    return [str(problem) for problem in key_mistakes(FolderTree(story.remote.work))]


ENOUGH = {
    "a pattern": (EVERYBODY, "source: {sign: head}\n"),
    "a pattern is as many people as are asked for": (EVERYBODY, "source: {sign: every-commit, threshold: 3}\n"),
    "two names": (f"{ADA},{BEN}", "source: {sign: every-commit, threshold: 2}\n"),
    "a rule by pattern": (EVERYBODY, f"source: {{sign: head, rules: [{{paths: [x], signers: ['{BEN}']}}]}}\n"),
}


@pytest.mark.parametrize(("line", "policy"), ENOUGH.values(), ids=ENOUGH)
def test_an_authority_alone_is_a_list(tmp_path: Path, made: People, line: str, policy: str) -> None:
    story = listing(tmp_path, made)
    (story.remote.work / "keys").mkdir()
    (story.remote.work / ALLOWED).write_text(made.authority(line, 'namespaces="git"'))
    story.commit(policy, "ada", "fleet.yaml")
    assert mistakes(story) == [] and story.deploy() == "main"


TOO_FEW = {
    "expired": ((EVERYBODY, 'valid-before="20200101"'), "{sign: head}", "key has expired"),
    "another purpose": ((EVERYBODY, 'namespaces="file"'), "{sign: head}", 'write namespaces="git"'),
    "for nobody": (("!*,*", ""), "{sign: head}", "fit nobody"),
    "one name": ((ADA, ""), "{sign: every-commit, threshold: 2}", "keys/ lists 1"),
    "a rule for somebody else": ((EVERYBODY, ""), "{sign: head, rules: [{paths: [x], signers: [ben]}]}", "lists no"),
    "a rule for a pattern": (
        (EVERYBODY, ""),
        "{sign: head, rules: [{paths: [x], signers: ['*@example.org']}]}",
        "lists no `*@example.org`",
    ),
}


@pytest.mark.parametrize(("line", "policy", "said"), TOO_FEW.values(), ids=TOO_FEW)
def test_an_authority_that_could_certify_too_few_does_not_deploy(
    tmp_path: Path, made: People, line: tuple[str, str], policy: str, said: str
) -> None:
    story = listing(tmp_path, made)
    (story.remote.work / "keys").mkdir()
    (story.remote.work / ALLOWED).write_text(made.authority(*line))
    story.commit(f"source: {policy}\n", "ada", "fleet.yaml")
    assert said in " ".join(mistakes(story))
    story.refused(Reason.locked_out)


def test_a_list_that_revokes_its_only_authority_or_cannot_be_read_does_not_deploy(tmp_path: Path, made: People) -> None:
    story = listing(tmp_path, made)
    for text in (f"{made.public('ca')}\n".encode(), b"SSHKRL\n\0junk\n"):
        for path, data in ((ALLOWED, made.authority(EVERYBODY).encode()), (REVOKED, text)):
            (story.remote.work / path).parent.mkdir(exist_ok=True)
            (story.remote.work / path).write_bytes(data)
        story.commit(f"{len(text)}", "ada")
        assert (REVOKED if text.startswith(b"SSHKRL") else "could sign") in story.refused("LockedOut").message
    (story.remote.work / REVOKED).write_bytes(revocations(made, "serial: 1"))
    story.commit("good", "ada")
    assert mistakes(story) == [] and story.deploy() == "main"
    story.commit("next", made.certified("ada", ADA, "-z", "1"))
    story.refused("RevokedKey")


def test_a_certificate_in_the_place_of_a_key_is_a_mistake(tmp_path: Path, made: People) -> None:
    story = listing(tmp_path, made)
    text = " ".join(made.key(made.certified("ada", ADA)).read_text().split()[:2])
    for line in (f"ada {text}\n", f"{EVERYBODY} cert-authority {text}\n"):
        (story.remote.work / "keys").mkdir(exist_ok=True)
        (story.remote.work / ALLOWED).write_text(line)
        (said,) = [each for each in mistakes(story) if each.startswith(f"{ALLOWED}:1:1")]
        assert "holds a certificate" in said and "list its authority's key" in said

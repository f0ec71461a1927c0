"""What would lock everybody out never deploys; whoever has to go is gone at once; and there is a way back in."""

import shutil
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gitops.errors import FleetError, SourceError
from gitops.fleet import key_mistakes, load_fleet
from gitops.fleet.keys.files import Keys
from gitops.source import FolderTree
from gitops.source.trust.judge import Judge
from tests.kit.people import People
from tests.kit.trust import PgpStory, Story

ALLOWED, REVOKED = "keys/allowed_signers", "keys/revoked_keys"


@pytest.fixture
def listed(head: Story) -> Story:
    """Ada and Ben stand in the fleet repo's own list; `sign: head` is deployed."""
    head.commit(head.people.allowed("ada", "ben"), "ada", ALLOWED)
    head.deploy()
    return head


def mistakes(story: Story) -> list[str]:
    """What `toweros validate` says of the keys."""
    return [str(problem) for problem in key_mistakes(FolderTree(story.remote.work))]


LISTS = {
    "a key in two lines": (lambda people: people.allowed("ada").replace("AAAAC3", "AAAAC3\n"), "1:1", "one line for"),
    "a key cut short": (lambda people: people.allowed("ada", "ben")[:-20] + "\n", "2:1", "one line for each"),
    "another namespace": (
        lambda people: people.allowed("ada", "ben", options='namespaces="file"'),
        "1:1",
        "write name",
    ),
    "spaces in options": (lambda people: people.allowed("ben", options='namespaces = "git"'), "1:1", "one line for"),
    "unknown options": (lambda people: people.allowed("ben", options="no-pty-at-all"), "1:1", "one line for each"),
    "expired": (lambda people: people.allowed("ada", options='valid-before="20200101"'), "1:1", "set other dates"),
    "not yet valid": (lambda people: people.allowed("ada", options='valid-after="20900101"'), "1:1", "set other dates"),
    "one of two expired": (
        lambda people: people.allowed("ben") + people.allowed("ada", options='valid-before="20200101"'),
        "2:1",
        "set other dates",
    ),
    "a date that is none": (lambda people: people.allowed("ben", options='valid-before="soon"'), "1:1", "one line for"),
    "names alone": (lambda people: "ada\nben\n", "1:1", "one line for each"),
    "keys alone": (lambda people: people.public("ada") + "\n", "1:1", "one line for each"),
}


@pytest.mark.parametrize(("said", "line", "fix"), LISTS.values(), ids=LISTS)
def test_a_list_that_counts_for_nothing_is_a_mistake_and_does_not_deploy(
    listed: Story, said: object, line: str, fix: str
) -> None:
    listed.commit(said(listed.people), "ada", ALLOWED)  # type: ignore[operator]
    assert f"{ALLOWED}:{line}" in listed.refused("LockedOut").message
    (said_so,) = [each for each in mistakes(listed) if each.startswith(f"{ALLOWED}:{line}")]
    assert fix in said_so
    listed.commit(listed.people.allowed("ben"), "ada", ALLOWED)
    assert listed.deploy() == "main"


REVOCATIONS = {
    "a fingerprint": "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
    "a principal first": "eve ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1YFHnJ7yDmSNVBdlGzJDJLjNqpJjm5xDjNyVYRBxCa",
    "a damaged key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1 eve",
    "a key list of ssh-keygen -k": "SSHKRL\n\0",
    "a key of OpenPGP": "-----BEGIN PGP PUBLIC KEY BLOCK-----",
}


@pytest.mark.parametrize("text", REVOCATIONS.values(), ids=REVOCATIONS)
def test_revoked_keys_in_another_format_are_a_mistake_and_do_not_deploy(listed: Story, text: str) -> None:
    listed.commit(f"# gone\n{listed.people.public('eve')} eve\n{text}\n", "ada", REVOKED)
    assert f"{REVOKED}:3:1: not an SSH public key" in listed.refused("LockedOut").message
    assert f"{REVOKED}:3:1: not an SSH public key" in mistakes(listed)[0]


def test_everybody_revoked_does_not_deploy_and_somebody_does(listed: Story) -> None:
    listed.commit("".join(f"{listed.people.public(name)}\n" for name in ("ada", "ben")), "ada", REVOKED)
    assert "nobody in keys/ could sign" in listed.refused("LockedOut").message
    listed.commit(f"# gone\n{listed.people.public('ada')} ada\n", "ben", REVOKED)
    assert mistakes(listed) == []
    assert listed.deploy() == "main"
    listed.commit("evil", "ada")
    listed.refused("RevokedKey")


@pytest.mark.parametrize("path", [ALLOWED, REVOKED, "keys/openpgp/ada.asc", "keys"])
def test_a_link_is_no_list(listed: Story, path: str) -> None:
    place = listed.remote.work / path
    if path == "keys":
        (listed.remote.work / "keys").rename(listed.remote.work / "people")
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to("people" if path == "keys" else "elsewhere")
    listed.commit("source: {sign: every-commit}\n", "ada", "fleet.yaml")
    assert f"{path}:1:1: is a link" in listed.refused("LockedOut").message
    assert any(f"{path}:1:1: is a link" in said for said in mistakes(listed))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("keys", "keys:1:1: is a file"),
        ("keys/openpgp", "keys/openpgp:1:1: is a file"),
        (f"{ALLOWED}/ada", f"{ALLOWED}/ada:1:1: is in a folder"),
        (f"{REVOKED}/eve", f"{REVOKED}/eve:1:1: is in a folder"),
    ],
)
def test_a_file_in_the_place_of_a_folder_is_no_list(listed: Story, path: str, said: str) -> None:
    place = listed.remote.work / path
    if path == "keys":
        shutil.rmtree(place)
    elif path.startswith(ALLOWED):
        place.parent.unlink()
    place.parent.mkdir(exist_ok=True)
    place.write_text(listed.people.allowed("ada"))
    listed.commit("source: {sign: every-commit}\n", "ada", "fleet.yaml")
    assert said in listed.refused("LockedOut").message
    assert any(each.startswith(said) for each in mistakes(listed))


@pytest.mark.parametrize("text", ["", "hello\n"], ids=["empty", "words"])
def test_a_file_that_holds_no_openpgp_key_is_a_mistake(listed: Story, text: str) -> None:
    listed.commit(text, "ada", "keys/openpgp/cleo.asc")
    assert "keys/openpgp/cleo.asc:1:1: holds no OpenPGP key" in listed.refused("LockedOut").message


def test_an_openpgp_key_under_another_name_is_not_read_and_says_so(listed: Story) -> None:
    listed.commit("x", "ada", "keys/openpgp/cleo.gpg")
    assert "as keys/openpgp/cleo.asc" in listed.refused("LockedOut").message


def test_gpg_says_which_key_could_sign_today(tmp_path: Path, people: People) -> None:
    story = PgpStory(tmp_path, people)
    good = (story.keys / "ada.asc").read_bytes()
    people.gpg("--faked-system-time", "20200101T000000", "--quick-generate-key", "old <old@example.org>", "ed25519",
               "sign", "1d")  # fmt: skip
    old = people.gpg("--armor", "--export", "old@example.org")
    revocation = (people.home / "openpgp-revocs.d" / f"{story.fingerprint}.rev").read_bytes()
    people.gpg("--import", stdin=revocation.replace(b":-----BEGIN", b"-----BEGIN"))
    story.export("ada")
    gone = (story.keys / "ada.asc").read_bytes()
    proof = Keys(openpgp=(("ada", good), ("old", old), ("gone", gone))).prove()
    assert proof.able == [("ada",)]
    assert {fault.name: fault.why for fault in proof.faults} == {
        "old": "the key has expired", "gone": "the key is revoked"
    }  # fmt: skip


def test_a_threshold_counts_people_who_could_sign_today(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    policy = 'source: {{tags: "v*", sign: tag, threshold: {}}}\n'
    story.commit(people.allowed("ada", "ben"), path=ALLOWED)
    story.commit(policy.format(1), path="fleet.yaml")
    story.tag("v1.0.0")
    story.deploy()
    for number, said in enumerate(
        (
            people.allowed("ada") + people.allowed("ben", options='valid-before="20200101"'),
            people.allowed("ada") + people.allowed("ada").replace("ada", "ada2", 1),
            people.allowed("ada") + people.allowed("ben", options='namespaces="file"'),
        )
    ):
        (story.remote.work / ALLOWED).write_text(said)
        story.commit(policy.format(2), path="fleet.yaml")
        story.tag(f"v1.1.{number}")
        story.refused("LockedOut")
    (story.remote.work / ALLOWED).write_text(people.allowed("ada", "ben"))
    story.commit(policy.format(2) + "# now\n", path="fleet.yaml")
    story.tag("v1.2.0")
    assert story.deploy() == "v1.2.0"


def test_a_rule_whose_people_could_not_sign_does_not_deploy(listed: Story) -> None:
    expired = listed.people.allowed("ben", options='valid-before="20200101"')
    rules = "source: {sign: head, rules: [{paths: [boxes], signers: [%s]}]}\n"
    (listed.remote.work / ALLOWED).write_text(listed.people.allowed("ada", "eve") + expired)
    listed.commit(rules % "ben", "ada", "fleet.yaml")
    assert "none of ben could sign today" in listed.refused("LockedOut").message
    (listed.remote.work / ALLOWED).write_text(listed.people.allowed("ada", "eve"))
    listed.commit(rules % "eve", "ada", "fleet.yaml")
    assert listed.deploy() == "main"


def test_time_alone_stops_no_commit_that_changes_no_key(listed: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that has expired since is told by `validate`; what others commit deploys."""
    monkeypatch.setattr(Judge, "_check_lockout", lambda *_: None)
    text = listed.people.allowed("ada") + listed.people.allowed("ben", options='valid-before="20200101"')
    listed.commit(text, "ada", ALLOWED)
    listed.deploy()
    monkeypatch.undo()
    listed.commit("next", "ada")
    assert listed.deploy() == "main"
    load_fleet(FolderTree(listed.remote.work))
    assert [said.partition(";")[0].partition(":")[0] for said in mistakes(listed)] == [ALLOWED]


def test_settings_that_name_nobody_are_no_way_out_of_a_list(listed: Story) -> None:
    listed.first.write_text("")
    listed.commit("# see the wiki\n", "ada", ALLOWED)
    assert "nobody in keys/ could sign" in listed.refused("LockedOut").message
    listed.first.write_text(listed.people.allowed("ben"))
    assert listed.deploy() == "main", "the settings' keys count where the repo has none"
    listed.commit("next", "ben")
    assert listed.deploy() == "main"


# --- taking a person out ----------------------------------------------------------------------------------------------


def test_taking_somebody_out_by_git_revert_works_at_once(listed: Story) -> None:
    (listed.remote.work / ALLOWED).write_text(listed.people.allowed("ada", "ben", "eve"))
    rules = "source: {sign: head, rules: [{paths: [boxes], signers: [ben, eve]}, {paths: [x], signers: [eve]}]}\n"
    listed.commit("source: {sign: head, rules: [{paths: [boxes], signers: [ben]}]}\n", "ada", "fleet.yaml")
    (listed.remote.work / ALLOWED).write_text(listed.people.allowed("ada", "ben"))
    listed.commit("out", "ada")
    listed.deploy()
    (listed.remote.work / ALLOWED).write_text(listed.people.allowed("ada", "ben", "eve"))
    listed.commit(rules, "ada", "fleet.yaml")
    listed.deploy()
    listed.remote.git("revert", "--no-edit", f"-S{listed.people.key('ada')}", "HEAD")
    listed.remote.git("push", "-q", "origin", "HEAD")
    assert listed.deploy() == "main"
    listed.commit("evil", "eve")
    listed.refused("UnknownKey")


BACK = {
    "a key": lambda people: (people.allowed("ada", "ben", "eve"), "", "source: {sign: head}\n"),
    "a key in another's place": lambda people: (people.allowed("ada", "eve"), "", "source: {sign: head}\n"),
    "an un-revoked key": lambda people: (people.allowed("ada", "ben"), "", "source: {sign: head}\n"),
    "a weaker policy": lambda people: (people.allowed("ada"), people.public("eve"), "source: {branch: main}\n"),
}


@pytest.mark.parametrize("said", BACK.values(), ids=BACK)
def test_whatever_else_comes_back_is_refused(listed: Story, said: object) -> None:
    def write(allowed: str, revoked: str, policy: str) -> None:
        for path, text in ((ALLOWED, allowed), (REVOKED, revoked + "\n"), ("fleet.yaml", policy)):
            (listed.remote.work / path).write_text(text)
        listed.commit(f"{allowed[-8:]}{revoked[-8:]}{policy}", "ada")

    write(*said(listed.people))  # type: ignore[operator]
    try:
        listed.deploy()
    except SourceError:
        pytest.fail("the state before is good")
    write(listed.people.allowed("ada", "ben"), listed.people.public("eve"), "source: {sign: every-commit}\n")
    listed.deploy()
    write(*said(listed.people))  # type: ignore[operator]
    listed.refused("PolicyRollback")


def test_taking_somebody_out_brings_no_other_key_back(listed: Story) -> None:
    """Not that of images, which was taken out when they came."""
    cosign = listed.remote.work / "keys" / "cosign" / "release.pub"
    cosign.parent.mkdir(parents=True)
    public = Ed25519PrivateKey.generate().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    listed.commit(pem, "ada", "keys/cosign/release.pub")
    listed.deploy()
    cosign.unlink()
    listed.commit(listed.people.allowed("ada", "ben", "eve"), "ada", ALLOWED)
    listed.deploy()
    cosign.parent.mkdir(exist_ok=True)
    cosign.write_text(pem)
    listed.commit(listed.people.allowed("ada", "ben"), "ada", ALLOWED)
    listed.refused("PolicyRollback")


def test_where_nobody_can_sign_yet_it_is_looked_at_again_when_the_first_one_can(listed: Story) -> None:
    dates = {"eve": 'valid-after="20200101",valid-before="20210101"'}
    dates |= {"ada": 'valid-after="20910101"', "ben": 'valid-after="20900101"'}
    text = "".join(listed.people.allowed(name, options=f'namespaces="git",{dates[name]}') for name in dates)
    listed.commit(text, "ada", ALLOWED)
    assert listed.refused("LockedOut").again == int(datetime(2090, 1, 1).timestamp())


# --- the way back in --------------------------------------------------------------------------------------------------


LOST = {
    "lost keys": {},
    "expired keys": {"options": 'valid-before="20200101"'},
    "damaged revocations": {"revoked": "SHA256:abc\n"},
    "no openpgp key": {"openpgp": "hello\n"},
}


@pytest.mark.parametrize("how", LOST.values(), ids=LOST)
def test_the_holder_of_the_settings_gets_back_in(
    listed: Story, how: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/policy.md, "Locked out": the old keys are gone; Eve has a new one, named for both whom the rules ask for."""
    monkeypatch.setattr(Judge, "_check_lockout", lambda *_: None)
    people = listed.people
    for path, text in ((REVOKED, how.get("revoked", "")), ("keys/openpgp/ada.asc", how.get("openpgp", ""))):
        if text:
            (listed.remote.work / path).parent.mkdir(exist_ok=True)
            (listed.remote.work / path).write_text(text)
    (listed.remote.work / ALLOWED).write_text(people.allowed("ada", "ben", options=how.get("options", "")))
    rules = "rules: [{paths: [keys], signers: [ada]}, {paths: [fleet.yaml], signers: [ben]}]"
    listed.commit(f"source: {{sign: head, {rules}}}\n", "ada", "fleet.yaml")
    listed.deploy()
    monkeypatch.undo()
    listed.remote.git("rm", "-q", "-r", "keys")
    listed.remote.work.joinpath("keys").mkdir()
    text = people.allowed("eve").replace("eve", "ada,ben", 1)
    listed.commit(text, "eve", ALLOWED)
    with pytest.raises(SourceError):
        listed.started().poll()
    listed.first.write_text(people.allowed("eve"))
    with pytest.raises(SourceError) as caught:
        listed.started(epoch=1).poll()
    assert caught.value.reason == "RuleNotMet", "epoch does not say who may sign"
    listed.first.write_text(text)
    listed.source = listed.started(epoch=1)
    assert listed.deploy() == "main"
    listed.commit("on it goes", "eve")
    assert listed.source.poll().signers == ("ada",)


def test_what_locks_everybody_out_is_told_by_the_whole_fleet_s_check(listed: Story) -> None:
    (listed.remote.work / ALLOWED).write_text(listed.people.allowed("ada", options='valid-before="20200101"'))
    with pytest.raises(FleetError, match="key has expired"):
        load_fleet(FolderTree(listed.remote.work))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({ALLOWED: b"ada ssh-ed25519 AAAA\n" * 501}, f"{ALLOWED}:1:1: more than 500 keys"),
        ({f"keys/openpgp/p{n}.asc": b"x" for n in range(65)}, "keys/openpgp/:1:1: more than 64 OpenPGP keys"),
        ({"keys/openpgp/p.asc": bytes(257 << 10)}, "keys/openpgp/p.asc:1:1: more than 256 KiB"),
    ],
    ids=["lines", "files", "bytes"],
)
def test_a_stranger_s_list_is_not_asked_about_without_end(
    tmp_path: Path, files: dict[str, bytes], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Keys, "prove", None)
    for path, data in ({"fleet.yaml": b"source: {sign: head}\n"} | files).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    assert [str(problem).partition(";")[0] for problem in key_mistakes(FolderTree(tmp_path))] == [said]

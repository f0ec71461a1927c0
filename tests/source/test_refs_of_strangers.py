"""Whoever may push tags and branches, and has no key: each bad ref is refused by its name, and the best honest one
deploys."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest

from gitops.errors import SourceError
from gitops.source import Access, GitSource
from gitops.source.clone.deploying import DeployingClone
from gitops.source.versions import version
from tests.kit.people import People
from tests.kit.trust import Story, following
from tests.simulators.https import TOKEN, GitHttps

EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
WHO = "Eve <eve@example.org> 1700000000 +0000"


@pytest.fixture(autouse=True)
def nothing_starts_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeployingClone, "rebuild", None)


def alarms(source: GitSource) -> dict[str, str]:
    """Reasons by message."""
    return {alarm.message: str(alarm.reason or "") for alarm in source.alarms}


def put(story: Story, kind: str, text: str, ref: str) -> str:
    """An object as no git would make it, and a ref to it, in the remote itself."""
    command = ["git", "hash-object", "-t", kind, "-w", "--literally", "--stdin"]
    done = subprocess.run(command, cwd=story.remote.bare, input=text.encode(), capture_output=True, check=True)
    identity = done.stdout.decode().strip()
    (story.remote.bare / ref).parent.mkdir(parents=True, exist_ok=True)
    (story.remote.bare / ref).write_text(identity + "\n")
    return identity


def tag(commit: str, *, without: str = "", **other: str) -> str:
    fields = {"object": commit, "type": "commit", "tag": "v9.0.0", "tagger": WHO} | other
    return "".join(f"{name} {value}\n" for name, value in fields.items() if name != without) + "\nx\n"


MALFORMED = {
    "the type first": lambda commit: "type commit\n" + tag(commit, without="type"),
    "the object twice": lambda commit: f"object {commit}\n" + tag(commit),
    "no name": lambda commit: tag(commit, without="tag"),
    "no address": lambda commit: tag(commit, tagger="Eve 1700000000 +0000"),
    "an unknown type": lambda commit: tag(commit, type="camel"),
    "another type": lambda commit: tag(commit, type="tree"),
    "what is not there": lambda commit: tag("1" * 40),
    "nothing": lambda commit: "",
    "noise": lambda commit: "\0\xff" * 100,
}


@pytest.mark.parametrize("made", MALFORMED.values(), ids=MALFORMED)
def test_a_tag_that_cannot_be_parsed_is_refused_alone(tags: Story, made: object) -> None:
    tags.commit("good", "ada")
    tags.tag("v1.1.0")
    put(tags, "tag", made(tags.remote.git("rev-parse", "HEAD")), "refs/tags/v9.0.0")  # type: ignore[operator]
    assert tags.deploy() == "v1.1.0"
    (message,) = alarms(tags.source)
    assert "v9.0.0" in message and alarms(tags.source)[message], alarms(tags.source)


@pytest.mark.parametrize("made", MALFORMED.values(), ids=MALFORMED)
def test_a_branch_is_followed_beside_a_tag_that_cannot_be_parsed(head: Story, made: object) -> None:
    commit = head.commit("good", "ada")
    put(head, "tag", made(commit), "refs/tags/v9.0.0")  # type: ignore[operator]
    assert head.source.poll().commit == commit


@pytest.mark.parametrize("made", MALFORMED.values(), ids=MALFORMED)
def test_a_server_of_git_that_gives_up_at_a_tag_stops_no_release(tags: Story, made: object) -> None:
    with served(tags) as source:
        tags.commit("good", "ada")
        tags.tag("v1.1.0")
        put(tags, "tag", made(tags.remote.git("rev-parse", "HEAD")), "refs/tags/v9.0.0")  # type: ignore[operator]
        assert source.poll().ref == "v1.1.0"
        assert all("v9.0.0" in message and reason for message, reason in alarms(source).items())


class served:  # noqa: N801 - reads as a word
    """The story's remote by https, followed in a clone of its own."""

    def __init__(self, story: Story) -> None:
        self._story, token = story, story.folder / "token"
        token.write_text(TOKEN + "\n")
        self._server, self._token = GitHttps(story.folder / "https", story.folder), token

    def __enter__(self) -> GitSource:
        server = self._server.__enter__()
        pygit2.settings.set_ssl_cert_locations(str(server.certificate), None)
        access = Access(server.url("remote.git"), token_file=self._token)
        source: GitSource = following(access, self._story.folder / "https-state", allowed_signers=self._story.first)
        source.mark_deployed(source.poll())
        return source

    def __exit__(self, *why: object) -> None:
        self._server.__exit__(*why)  # type: ignore[arg-type]


def test_a_flood_of_tags_of_nobody_hides_no_release(tags: Story) -> None:
    tags.commit("good", "ada")
    tags.tag("v1.1.0")
    unsigned, foreign = [[f"v{number}.0.{n}" for n in range(60)] for number in (8, 9)]
    for name in unsigned:
        tags.remote.git("tag", "-a", "-m", name, name)
    tags.tag("one", "eve")
    raw = tags.raw("tag", "one")
    for name in foreign:  # Eve's signature, and other words
        rename(tags, raw, name)
    tags.push(*unsigned, *foreign)
    assert tags.source.poll().ref == "v1.1.0"
    assert set(alarms(tags.source).values()) == {"UnknownKey", ""}
    assert list(alarms(tags.source))[-1] == "100 more tags are refused"


def rename(story: Story, raw: bytes, name: str) -> None:
    """The tag `one` under another name, so that its signature is good for nothing."""
    command = ["git", "hash-object", "-t", "tag", "-w", "--stdin"]
    data = raw.replace(b"tag one", b"tag " + name.encode())
    done = subprocess.run(command, cwd=story.remote.work, input=data, capture_output=True, check=True)
    story.remote.git("update-ref", f"refs/tags/{name}", done.stdout.decode().strip())


OUT = {
    "expired": lambda people: (people.allowed("eve", options='valid-before="20200101"'), "", "ExpiredKey"),
    "revoked": lambda people: (people.allowed("eve"), people.public("eve"), "RevokedKey"),
}


@pytest.mark.parametrize("how", OUT.values(), ids=OUT)
def test_a_flood_of_tags_by_a_key_that_counts_no_more_hides_no_release(
    tmp_path: Path, people: People, how: Callable[[People], tuple[str, str, str]]
) -> None:
    """Twenty refused tags of listed people end a pass: somebody who was taken out is none of them."""
    story = Story(tmp_path, people)
    line, revoked, why = how(people)
    story.first.write_text(people.allowed("ada") + line)
    if revoked:
        (story.remote.work / "keys").mkdir()
        (story.remote.work / "keys/allowed_signers").write_text(people.allowed("ada") + line)
        (story.remote.work / "keys/revoked_keys").write_text(f"{revoked}\n")
    story.commit('source: {tags: "v*", sign: tag}\n', path="fleet.yaml")
    story.tag("v1.0.0")
    story.deploy()
    story.commit("good", "ada")
    story.tag("v1.1.0")
    for number in range(25):
        story.tag(f"v9.0.{number}", "eve")
    assert story.source.poll().ref == "v1.1.0"
    assert why in alarms(story.source).values()


def test_a_moved_old_tag_is_an_alarm_and_the_next_release_deploys(tags: Story) -> None:
    tags.commit("two")
    tags.tag("v1.1.0")
    tags.deploy()
    tags.tag("v1.0.0", by="", force=True)
    assert "v1.0.0" in tags.refused("MovedTag").message
    tags.commit("three")
    tags.tag("v1.2.0")
    assert tags.deploy() == "v1.2.0"
    assert list(alarms(tags.source).values()) == ["MovedTag"]


@pytest.mark.parametrize("by", ["", "eve", "ben", "ada"])
def test_junk_approvals_take_no_place_away(tmp_path: Path, people: People, by: str) -> None:
    story = Story(tmp_path, people)
    story.commit('source: {tags: "v*", sign: tag, threshold: 2}\n', path="fleet.yaml")
    story.tag("v1.0.0")
    junk = [f"approved/v1.0.0/a{number:02}" for number in range(70)]
    if by:
        story.tag("one", by, at="v1.0.0^{}")
        raw = story.raw("tag", "one")
        for name in junk:
            rename(story, raw, name)
    else:
        for name in junk:
            story.remote.git("tag", "-a", "-m", name, name, "v1.0.0^{}")
    story.push(*junk)
    story.refused("ThresholdNotMet")
    story.tag("approved/v1.0.0/ben", "ben", at="v1.0.0^{}")
    assert story.source.poll().signers == ("ada", "ben")
    why = {"": "Unsigned", "eve": "UnknownKey"}.get(by, "BadSignature")
    assert {why} <= set(alarms(story.source).values())


def test_an_approval_that_cannot_be_parsed_is_passed_over(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    commit = story.commit('source: {tags: "v*", sign: tag, threshold: 2}\n', path="fleet.yaml")
    story.tag("v1.0.0")
    put(story, "tag", tag(commit, tagger="Eve 1 +0000", tag="approved/v1.0.0/a"), "refs/tags/approved/v1.0.0/a")
    story.tag("approved/v1.0.0/ben", "ben", at="v1.0.0^{}")
    assert story.source.poll().signers == ("ada", "ben")
    assert list(alarms(story.source).values()) == ["BadObject"]


BAD_COMMITS = {
    "no address": "tree {tree}\nparent {parent}\nauthor Eve 1 +0000\ncommitter Eve 1 +0000\n\nx\n",
    "no tree": "parent {parent}\nauthor " + WHO + "\ncommitter " + WHO + "\n\nx\n",
    "no committer": "tree {tree}\nparent {parent}\nauthor " + WHO + "\n\nx\n",
    "a tree that is none": "tree {parent}\nparent {parent}\nauthor " + WHO + "\ncommitter " + WHO + "\n\nx\n",
    "a parent that is a folder": "tree {tree}\nparent {tree}\nauthor " + WHO + "\ncommitter " + WHO + "\n\nx\n",
    "nothing": "",
}


@pytest.mark.parametrize("below", [False, True], ids=["", "below"])
@pytest.mark.parametrize("text", BAD_COMMITS.values(), ids=BAD_COMMITS)
def test_a_malformed_commit_is_refused_by_name(head: Story, text: str, below: bool) -> None:
    good = head.remote.git("rev-parse", "HEAD")
    bad = put(head, "commit", _filled(head, text), "refs/heads/main")
    if below:
        tree = head.remote.git("rev-parse", "HEAD^{tree}")
        fine = f"tree {tree}\nparent {bad}\nauthor {WHO}\ncommitter {WHO}\n\nx\n"
        put(head, "commit", fine, "refs/heads/main")
    refusal = head.refused("BadObject")
    assert bad in refusal.message and refusal.message.startswith("main: ")
    (head.remote.bare / "refs/heads/main").write_text(good + "\n")
    head.commit("good", "ada")
    assert head.deploy() == "main"


def _filled(story: Story, text: str) -> str:
    return text.format(tree=story.remote.git("rev-parse", "HEAD^{tree}"), parent=story.remote.git("rev-parse", "HEAD"))


@pytest.mark.parametrize("kind", ["tree", "blob", "tag"])
def test_a_branch_that_names_no_commit_is_refused_by_name(head: Story, kind: str) -> None:
    commit = head.remote.git("rev-parse", "HEAD")
    text = {"tree": "", "blob": "x", "tag": tag(commit)}[kind]
    bad = put(head, kind, text, "refs/heads/main")
    assert head.refused("BadObject").message == f"main: {bad} is no commit"


def test_a_file_that_is_the_folder_git_knows_by_heart_is_refused_by_name(head: Story) -> None:
    """The empty one: nobody has to have it."""
    rows = ((b"100644", b"fleet.yaml", head.remote.git("rev-parse", "HEAD:fleet.yaml")), (b"100644", b"keys", EMPTY))
    data = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(identity) for mode, name, identity in rows)
    command = ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"]
    tree = subprocess.run(command, cwd=head.remote.bare, input=data, capture_output=True, check=True).stdout.decode()
    put(head, "commit", f"tree {tree}author {WHO}\ncommitter {WHO}\n\nx\n", "refs/heads/main")
    assert "keys: is listed as a blob, and is none" in head.refused("BadObject").message


def test_a_history_with_a_hole_names_what_is_lost(head: Story) -> None:
    """That may pass: somebody pushes it again."""
    tree = head.remote.git("rev-parse", "HEAD^{tree}")
    text = f"tree {tree}\nparent {'3' * 40}\nauthor {WHO}\ncommitter {WHO}\n\nx\n"
    put(head, "commit", text, "refs/heads/main")
    with pytest.raises(SourceError, match=f"cannot read itself: {'3' * 40}") as caught:
        head.source.poll()
    assert caught.value.transient


def test_what_a_server_cannot_send_begins_no_clone_anew(head: Story) -> None:
    """Git's own gives up there, and says no more than that."""
    good = head.remote.git("rev-parse", "HEAD")
    with served(head) as source:
        put(head, "commit", _filled(head, BAD_COMMITS["a parent that is a folder"]), "refs/heads/main")
        with pytest.raises(SourceError, match="broke off while it sent") as caught:
            source.poll()
        assert caught.value.transient
        (head.remote.bare / "refs/heads/main").write_text(good + "\n")
        assert source.poll().commit == good


def test_a_malformed_commit_from_a_server_is_refused_by_name(head: Story) -> None:
    with served(head) as source:
        bad = put(head, "commit", _filled(head, BAD_COMMITS["no address"]), "refs/heads/main")
        for _ in range(2):
            with pytest.raises(SourceError, match=bad) as caught:
                source.poll()
            assert caught.value.reason == "BadObject" and not caught.value.transient


def test_a_signed_tag_on_a_malformed_commit_lets_the_next_lower_one_deploy(tags: Story) -> None:
    tags.commit("good", "ada")
    tags.tag("v1.1.0")
    bad = put(tags, "commit", _filled(tags, BAD_COMMITS["no address"]), "refs/heads/side")
    put(tags, "tag", tag(bad), "refs/tags/v9.0.0")
    assert tags.source.poll().ref == "v1.1.0"
    assert list(alarms(tags.source).values()) == ["BadObject"]


def test_a_version_of_thousands_of_digits_stops_nobody(tags: Story) -> None:
    for name in (f"v1.0.0-{'9' * 5000}", "v1.0.0-0010", "v١.٢.٣"):
        assert version(name) is None
    tags.commit("good", "ada")
    tags.tag("v1.1.0")
    with (tags.remote.bare / "packed-refs").open("a") as file:
        file.write(f"{tags.remote.git('rev-parse', 'HEAD')} refs/tags/v2.0.0-{'9' * 900}\n")
    assert tags.source.poll().ref == "v1.1.0"


def test_an_approval_is_no_release(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    story.commit('source: {tags: "*", sign: tag}\n', path="fleet.yaml")
    story.tag("v1.0.0")
    story.tag("approved/v1.0.0/ben2", "ben", at="v1.0.0^{}")
    assert story.source.poll().ref == "v1.0.0"


def test_tags_that_lead_to_no_commit_stop_no_later_fetch(tags: Story) -> None:
    for number, at in enumerate(("HEAD^{tree}", "HEAD:fleet.yaml", "HEAD^{tree}")):
        tags.tag(f"v9.0.{number}", at=at)
        tags.commit(f"good {number}", "ada")
        tags.tag(f"v1.1.{number}")
        assert tags.deploy() == f"v1.1.{number}"
    assert list(alarms(tags.source).values()) == ["TagOfNoCommit"] * 3


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/srv/fleet.git", "/srv/fleet.git"),
        ("fleet.git", "fleet.git"),
        ("file:///srv/my%20fleet.git", "/srv/my fleet.git"),
        ("file://localhost/srv/x", "/srv/x"),
        ("ssh://git@host/x", None),
        ("https://host/x", None),
        ("git@host:fleet.git", None),
        ("host:fleet.git", None),
    ],
)
def test_which_remote_is_a_folder_of_this_machine(url: str, path: str | None) -> None:
    assert Access(url).place == (Path(path) if path else None)

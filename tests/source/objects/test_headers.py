"""Commits and tags whose first lines no git would write: `git fsck` itself is asked about each of them."""

import re
import subprocess
from pathlib import Path

import pytest

from gitops.source.objects.headers import fault
from tests.kit.trust import Story

EMPTY = b"4b825dc642cb6eb9a060e54bf8d69288fbee4904"
GOOD = b"Ada <ada@example.org> 1700000000 +0000"
DATES = [
    b"1e5 +0000", b"1e5", b"-5 +0000", b"00 +0000", b"017 +0000", b"9223372036854775807 +0000",
    b"9223372036854775808 +0000", b"18446744073709551615 +0000", b"99999999999999999999999 +0000", b"1700000000",
    b"1700000000 ", b"1700000000 +00", b"1700000000 +00000", b"1700000000 0000", b"1700000000 UTC", b"1700000000 +-100",
    b"1700000000 +9999", b"1700000000 -1400", b"1700000000 +00a0", b"1700000000 +0000 ", b"1700000000 +0000 x", b"",
    b" 1700000000 +0000", b"0x10 +0000", b"1_000 +0000", b"now +0000", b"0 +0000", b"1.5 +0000", b"1700000000  +0000",
    b"1700000000\t+0000", b"\xd9\xa1 +0000", b"1700000000 \xe2\x88\x920100",
]  # fmt: skip
PERSONS = [
    b"<a@b> 1 +0000", b"Ada<a@b> 1 +0000", b"Ada <a@b>1 +0000", b"Ada a@b> 1 +0000", b"Ada <a@b 1 +0000",
    b"Ada 1 +0000",
    b"Ada <<a@b> 1 +0000", b"Ada <a@b>> 1 +0000", b" <a@b> 1 +0000", b"Ada <> 1 +0000", b"", b"Ada <a@b>",
    b"A <a> B <b> 1 +0000",
]  # fmt: skip
ODD = [GOOD, *[b"Ada <ada@example.org> " + date for date in DATES], *PERSONS]
FIRST = b"tree " + EMPTY + b"\n"
COMMITS = [
    *[FIRST + b"author " + odd + b"\ncommitter " + GOOD for odd in ODD],
    *[FIRST + b"author " + GOOD + b"\ncommitter " + odd for odd in ODD],
    FIRST + b"author " + GOOD + b"\nauthor " + GOOD + b"\ncommitter " + GOOD,
    FIRST + b"committer " + GOOD + b"\nauthor " + GOOD,
    FIRST + b"author " + GOOD,
    FIRST + b"committer " + GOOD,
    FIRST + b"encoding x\nauthor " + GOOD + b"\ncommitter " + GOOD,
    b"tree " + EMPTY.upper() + b"\nauthor " + GOOD + b"\ncommitter " + GOOD,
    b"tree " + EMPTY[:-1] + b"\nauthor " + GOOD + b"\ncommitter " + GOOD,
    b"author " + GOOD + b"\ncommitter " + GOOD,
    FIRST + b"author " + GOOD + b"\ncommitter " + GOOD + b"\nencoding x\nmore words\n of two lines",
]
NAMED = b"object " + EMPTY + b"\ntype tree\ntag v1\n"
TAGS = [*[NAMED + b"tagger " + odd for odd in ODD], NAMED.rstrip(b"\n"), NAMED + b"more words"]


def refused_by_git(folder: Path, kind: str, objects: list[bytes]) -> dict[int, str]:
    """What `git fsck` says of each that it refuses, by the place in the list."""
    git = ["git", "-c", "core.looseCompression=0"]
    subprocess.run([*git, "init", "-q", "--bare", str(folder)], check=True)
    (folder / "files").mkdir()
    paths = [folder / "files" / str(number) for number in range(len(objects))]
    for path, data in zip(paths, objects, strict=True):
        path.write_bytes(data + b"\n\nwords\n")
    names = "\n".join(map(str, paths)) + "\n"
    for type_, text in (("tree", ""), (kind, names)):
        options = ["--stdin-paths"] if text else ["--stdin"]
        command = [*git, "hash-object", "-t", type_, "-w", "--literally", *options]
        done = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, check=True)
    places = {identity: number for number, identity in enumerate(done.stdout.split())}
    said = subprocess.run([*git, "fsck", "--no-dangling"], cwd=folder, capture_output=True, text=True).stderr
    found = re.findall(r"^error(?: in (?:commit|tag))?:? ([0-9a-f]{40}): (.*)$", said, re.MULTILINE)
    return {places[identity]: words for identity, words in found if identity in places}


@pytest.mark.parametrize(("kind", "objects"), [("commit", COMMITS), ("tag", TAGS)], ids=["commits", "tags"])
def test_what_git_fsck_refuses_is_refused_in_its_words(tmp_path: Path, kind: str, objects: list[bytes]) -> None:
    objects = list(dict.fromkeys(objects))
    by_git = refused_by_git(tmp_path / "git", kind, objects)
    ours = {number: said for number, each in enumerate(objects) if (said := fault(kind, each))}
    assert len(by_git) > 30
    missed = {objects[number]: words for number, words in by_git.items() if number not in ours}
    assert not missed
    more = {said for number, said in ours.items() if number not in by_git and b">  1700000000" not in objects[number]}
    assert more <= {"its first headers are not those that Git writes, in Git's order"}, "an id in capital letters"
    readable = {number: words for number, words in by_git.items() if "could not be parsed" not in words}
    assert {number: word(ours[number]) for number in readable} == {n: word(words) for n, words in readable.items()}


def word(said: str) -> str:
    """Git calls a minus an overflow."""
    return said.partition(":")[0].removesuffix("Overflow")


FAULTS = {b"1e5 +0000": "badDate", b"-5 +0000": "badDate", b"9223372036854775808 +0000": "invalid Unix timestamp",
          b"1700000000": "badDate", b"1700000000 +000000": "badTimezone"}  # fmt: skip


def signed(story: Story, head: bytes, *, tag: bool = False) -> bytes:
    """Ada's signature of it, whatever is in it: ssh-keygen and gpg sign and verify bytes, and look at no date."""
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(story.people.key("ada"))]
    words = b"\n\nwords\n"
    armour = subprocess.run(command, input=head + words, capture_output=True, check=True).stdout
    inside = b"\ngpgsig " + armour.rstrip(b"\n").replace(b"\n", b"\n ")
    return head + words + armour if tag else head + inside + words


@pytest.mark.parametrize("date", FAULTS)
def test_a_signed_commit_whose_date_two_read_in_two_ways_does_not_deploy(head: Story, date: bytes) -> None:
    first, parent = (head.remote.git("rev-parse", name).strip().encode() for name in ("HEAD^{tree}", "HEAD"))
    top = b"tree " + first + b"\nparent " + parent + b"\nauthor Ada <a@b> " + date + b"\ncommitter " + GOOD
    head.push_object("commit", signed(head, top), "refs/heads/main")
    assert FAULTS[date] in head.refused("BadObject").message
    head.remote.git("push", "-q", "-f", "origin", "HEAD:main")
    head.commit("good", "ada")
    assert head.source.poll().signers == ("ada",)


def test_a_release_tag_with_such_a_date_is_refused_alone(tags: Story) -> None:
    tags.commit("good", "ada")
    tags.tag("v1.1.0")
    commit = tags.remote.git("rev-parse", "HEAD").strip().encode()
    for number, date in enumerate(FAULTS):
        top = b"object " + commit + b"\ntype commit\ntag v9.0.%d\ntagger Ada <a@b> " % number + date
        tags.push_object("tag", signed(tags, top, tag=True), f"refs/tags/v9.0.{number}")
    assert tags.source.poll().ref == "v1.1.0"
    said = "".join(map(str, tags.source.alarms))
    assert len(tags.source.alarms) == len(FAULTS) and all(words in said for words in FAULTS.values())

"""What somebody who may push, or a mistake in keys/, could do to the policy; and what only looks like a verdict."""

import os
import subprocess
import time
from pathlib import Path

import pygit2
import pytest

from gitops.errors import ProcessError
from gitops.source import Access
from gitops.source.clone.deploying import DeployingClone
from gitops.source.remotes.redacting import redact
from gitops.source.trust.signatures import Trust
from gitops.source.trust.ssh import keygen
from tests.kit.people import People
from tests.kit.trust import TAGS, Story, following
from tests.simulators.https import TOKEN, GitHttps


def test_a_key_that_is_revoked_in_the_repo_counts_no_more_in_the_settings(head: Story) -> None:
    head.commit(head.people.public("ada") + "\n", "ben", "keys/revoked_keys")
    head.deploy()
    head.commit("evil", "ada")
    head.refused("RevokedKey")
    head.commit("good", "ben")
    assert head.source.poll().signers == ("ben",)


def test_the_first_release_tag_is_seen_without_a_restart(tmp_path: Path, people: People) -> None:
    story = Story(tmp_path, people)
    story.commit(TAGS, path="fleet.yaml")
    story.refused("NoRelease")
    story.tag("v1.0.0")
    assert story.deploy() == "v1.0.0"


@pytest.mark.parametrize("end", ["kill -9 $$", "exec sleep 60"], ids=["killed", "hung"])
def test_a_program_that_did_not_end_by_itself_gave_no_verdict(
    head: Story, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head.commit("good", "ada")
    program = tmp_path / "bin" / "ssh-keygen"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{end}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(keygen, "TIMEOUT", 2.0)
    with pytest.raises(ProcessError):
        head.source.poll()
    monkeypatch.undo()
    assert head.source.poll().signers == ("ada",)


def test_a_refusal_is_asked_again_after_a_while(head: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    head.commit("good", "ada")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 10 * 86400)
    assert head.refused("FutureDate").hint.startswith("set the clock")
    monkeypatch.setattr(time, "time", lambda: now)
    assert head.source.poll().signers == ("ada",)


def test_a_key_file_that_cannot_be_read_is_no_damage(head: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "signers")

    def never(*_: object) -> None:
        raise AssertionError("the sound clone was thrown away")

    head.commit("good", "ada")
    monkeypatch.setattr(Trust, "of_files", denied)
    monkeypatch.setattr(DeployingClone, "rebuild", never)
    with pytest.raises(PermissionError):
        head.source.poll()
    monkeypatch.undo()
    assert head.source.poll().signers == ("ada",)


def test_a_flood_of_lightweight_tags_hides_no_release(tags: Story) -> None:
    tags.commit("good", "ada")
    tags.tag("v1.1.0")
    names = [f"v9.0.{number}" for number in range(30)]
    for name in names:
        tags.remote.git("tag", name)
    tags.push(*names)
    assert tags.source.poll().ref == "v1.1.0"
    assert {getattr(alarm, "reason", "") for alarm in tags.source.alarms} == {"LightweightTag"}


def test_a_garbled_tag_is_refused_by_name_and_the_next_one_deploys(
    tags: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By https: a local path's tags are read by libgit2 before we see them."""
    token = tags.folder / "token"
    token.write_text(TOKEN + "\n")
    with GitHttps(tags.folder / "https", tags.folder) as server:
        pygit2.settings.set_ssl_cert_locations(str(server.certificate), None)
        source = following(
            Access(server.url("remote.git"), token_file=token), tags.folder / "https-state", allowed_signers=tags.first
        )
        source.mark_deployed(source.poll())
        tags.commit("good", "ada")
        tags.tag("v1.1.0")
        commit = tags.remote.git("rev-parse", "HEAD").strip()
        raw = f"object {commit}\ntype commit\ntag v9.0.0\ntagger broken\n\nx\n"
        tags.push_object("tag", raw.encode(), "refs/tags/v9.0.0")
        monkeypatch.setattr(DeployingClone, "rebuild", None)
        assert source.poll().ref == "v1.1.0"
        assert [getattr(alarm, "reason", "") for alarm in source.alarms] == ["BadObject"]


def test_a_giant_commit_is_refused_before_it_is_read(head: Story) -> None:
    found = head.raw("commit", "HEAD")
    head.push_object("commit", found + b" " * (2 << 20), "refs/heads/main")
    assert "2 MiB" in head.refused("TooLarge").message


def test_no_part_of_a_password_is_shown() -> None:
    assert redact("https://bot:pa@ss@host/f.git") == "https://host/f.git"
    assert redact("https://host/f.git?private_token=abc is away") == "https://host/f.git is away"


def test_a_date_before_1970_is_refused(head: Story) -> None:
    """Archives, file systems and firmware have none; Git's parser takes a minus."""
    raw = b"tree %s\nparent %s\n" % tuple(
        head.remote.git("rev-parse", name).encode() for name in ("HEAD^{tree}", "HEAD")
    )
    raw += b"author a <a@b> 0 +0000\ncommitter a <a@b> -5 +0000\n\nold\n"
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(head.people.key("ada"))]
    signature = subprocess.run(command, input=raw, capture_output=True, check=True).stdout.rstrip(b"\n")
    signed = raw.replace(b"\n\n", b"\ngpgsig " + signature.replace(b"\n", b"\n ") + b"\n\n", 1)
    head.push_object("commit", signed, "refs/heads/main")
    assert "before 1970" in head.refused("BadObject").message

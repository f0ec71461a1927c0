"""`toweros security`, as a user types it."""

import json
from pathlib import Path

from gitops.model.updates.patching import Window
from gitops.workflows.updates.memory import Timetable
from tests.kit.console import toweros
from tests.kit.updates import LOCK, Patched


def said(patched: Patched, *words: str | Path) -> str:
    config = patched.site.folder / "toweros.toml"
    settings = patched.site.settings
    config.write_text(f'state = "{settings.state}"\nrepository = "{settings.repository}"\nkeys = "{settings.keys}"\n')
    done = toweros("security", *words, "--config", config)
    return f"{done.output}{done.exception or ''}"


def test_a_dry_run_prints_the_commit_messages_and_changes_nothing(patched: Patched) -> None:
    folder = patched.site.remote.work
    assert "nothing is newer" in said(patched, "run", "--dry-run", "-C", folder)
    patched.update()
    refs, lock = dict(patched.refs), (folder / LOCK).read_text()
    text = said(patched, "run", "--now", "--dry-run", "-C", folder)
    assert "locks: openssl 3.5.7-1 -> 3.5.9-1\n" in text and "Locks: pkg/hello\n" in text
    assert "1 commits would be made" in text
    assert (dict(patched.refs), (folder / LOCK).read_text()) == (refs, lock)
    patched.says("{packages: {leave: [openssl]}}")
    assert "stays: openssl 3.5.7-1 -> 3.5.9-1: left out by `packages`" in said(patched, "run", "--dry-run")


def test_a_run_needs_something_deployed_and_a_section(patched: Patched) -> None:
    assert "nothing is deployed" in said(patched, "run", "--now")
    assert "nothing is deployed" in said(patched, "status")
    patched.look()
    assert "says nothing of updates" in said(patched, "run", "--now")
    assert "--dry-run" not in said(patched, "run", "--now") and "not on a folder" in said(patched, "run", "-C", "x")


def test_a_status_says_when_what_and_which_key(patched: Patched) -> None:
    patched.says("{how: pull-request, kernel: {every: saturday at 03:00}}")
    patched.update()
    patched.later()
    patched.look()
    table = said(patched, "status")
    assert "every day at 02:30 (UTC)" in table and "every saturday at 03:00 (UTC)" in table
    assert "openssl 3.5.7-1 -> 3.5.9-1" in table and 'toweros-security namespaces="git" ssh-ed25519' in table
    with patched.site.store.lease.held():
        times = Timetable(patched.site.store, lambda: patched.now)
        for _ in range(3):
            times.begin(Window.packages)
    assert "never ended, 2 in a row" in said(patched, "status")
    document = json.loads(said(patched, "status", "-o", "json"))
    assert document["proposals"]["openssl"]["ref"] == "refs/heads/toweros/security/openssl"
    assert document["schedules"]["packages"]["outcome"] == "1 of 1 updates offered"


def test_a_controller_at_work_is_asked(patched: Patched, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    patched.says("{how: commit}")
    patched.update()
    store = patched.site.store
    with store.lease.held():
        assert "at its next look" in said(patched, "run", "--now")
    patched.look()
    assert patched.show("main").startswith("locks: openssl")

"""The record of deployments at Git's own servers, over ssh and https: one that serves yesterday, refuses, hangs, or is
written to by two at once. Each is told by name, none hangs a pass, and what Git has deploys, or does not, as
docs/record.md says."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pygit2
import pytest

from gitops.source.clone import remote
from gitops.workflows.record import recorder
from tests.kit.records import (
    alarms,
    at_remote,
    deployed_twice,
    forged,
    move,
    ours,
    put,
    ref,
    refused,
    revisions,
    told,
)
from tests.kit.site import HELLO, WORSE, Site
from tests.simulators.https import TOKEN, GitHttps
from tests.simulators.sshd import Sshd

AGAIN = "the remote takes the record of deployments again"
PATIENCE = 120.0


@pytest.fixture(params=["ssh", "https"])
def server(request: pytest.FixtureRequest, site: Site) -> Iterator[Sshd | GitHttps]:
    folder = site.folder / "server"
    with Sshd(folder) if request.param == "ssh" else GitHttps(folder, site.folder) as running:
        yield running


@pytest.fixture
def served(site: Site, server: Sshd | GitHttps) -> Site:
    """The site, whose controller reaches its remote by a server."""
    if isinstance(server, Sshd):
        change: dict[str, object] = {
            "repository": f"ssh://root@127.0.0.1:{server.port}{site.remote.bare}",
            "ssh_key": server.user_key,
            "ssh_known_hosts": server.known_hosts,
        }
    else:
        (site.folder / "token").write_text(TOKEN)
        pygit2.settings.set_ssl_cert_locations(str(server.certificate), None)
        change = {"repository": server.url("remote.git"), "git_token_file": site.folder / "token"}
    return replace(site, settings=site.settings.model_copy(update=change))


def hook(site: Site, name: str, text: str) -> Path:
    file = site.remote.bare / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def second_one(site: Site) -> Site:
    """Another controller of the same keys, with a state of its own."""
    return replace(site, settings=site.settings.model_copy(update={"state": site.folder / "second"}))


def test_yesterday_a_cut_and_a_deleted_record_are_alarms_and_sent_again(served: Site, tmp_path: Path) -> None:
    served.run()
    shutil.copytree(served.remote.bare, tmp_path / "yesterday.git")
    served.commit(HELLO)
    served.run()
    entries = at_remote(served)
    assert revisions(entries) == revisions(ours(served)) and len(entries) == 2 and told(served) == []
    shutil.rmtree(served.remote.bare)
    (tmp_path / "yesterday.git").rename(served.remote.bare)
    assert refused(served).reason == "NotDescending"
    served.remote.git("push", "-q", "origin", "HEAD:main")
    for target in (None, entries[0].id, ""):
        if target is not None:
            move(served, target)
        served.run()
        assert alarms(served) == ["RecordWithheld"] and at_remote(served) == entries
        served.run()
        assert alarms(served) == []


def test_a_signed_experiment_on_main_is_refused_by_a_second_controller(served: Site) -> None:
    """Somebody pushes it, it deploys, and main is forced back as if nothing had been."""
    served.run()
    base = served.remote.git("rev-parse", "HEAD")
    served.commit(HELLO)
    tried = served.run().revision.commit
    served.remote.git("reset", "-q", "--hard", base)
    served.commit({"README.md": "honest work\n"})
    assert refused(served).reason == "NotDescending", "who deployed it"
    refusal = refused(second_one(served))
    assert refusal.reason == "Replayed" and tried in refusal.message, "who only has the record"


def closed(site: Site, server: Sshd | GitHttps) -> Callable[[], None]:
    """Credentials that may only read; what opens it again."""
    if isinstance(server, Sshd):
        file = server.folder / "authorized"
        key = file.read_text()
        reading = f'command="eval exec git-upload-pack {site.remote.bare}",no-pty {key}'
        file.write_text(reading)
        return lambda: (file.write_text(key), None)[1]
    site.remote.git("config", "http.receivepack", "false", cwd=site.remote.bare)
    return lambda: (site.remote.git("config", "http.receivepack", "true", cwd=site.remote.bare), None)[1]


def test_a_key_that_may_only_read_stops_nothing(served: Site, server: Sshd | GitHttps) -> None:
    opened = closed(served, server)
    commits = deployed_twice(served)
    served.run()
    assert [entry.statement.commit for entry in ours(served)] == commits and at_remote(served) == []
    assert len(told(served)) == 1, told(served)
    said = told(served)[0]
    assert said.startswith("the record of deployments stays here: ") and TOKEN not in said and alarms(served) == []
    opened()
    served.run()
    assert at_remote(served) == list(ours(served)) and told(served)[1:] == [AGAIN]


def test_a_hook_that_refuses_the_ref_is_told_in_its_words(served: Site) -> None:
    file = hook(served, "update", "case $1 in refs/toweros/*) echo protected >&2; exit 1;; esac")
    commits = deployed_twice(served)
    assert [entry.statement.commit for entry in ours(served)] == commits and at_remote(served) == []
    assert len(told(served)) == 1 and f"does not take {ref(served)}: " in told(served)[0]
    file.unlink()
    served.run()
    assert at_remote(served) == list(ours(served)) and told(served)[1:] == [AGAIN]


@pytest.mark.parametrize("name", ["pre-receive", "post-receive"])
def test_a_server_that_takes_the_push_and_never_answers_holds_up_nothing(
    served: Site, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it wrote the record, or after that. The question ends by itself, and the next one finds what is there."""
    served.run()
    served.commit(HELLO)
    waiting = f"while [ -e {served.folder}/hang ]; do sleep 0.2; done"
    file = hook(served, name, f"while read old new ref; do case $ref in refs/toweros/*) {waiting};; esac; done")
    (served.folder / "hang").write_text("")
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "WAIT", 2.0)
        patch.setattr(remote, "SILENCE_TIMEOUT", 3000)
        controller, store, _ = served.start()
        with store.lease.held():
            done = controller.run_once()
            ended()
            assert told(served) == [f"the record of deployments stays here: {recorder.SILENT}"]
            (served.folder / "hang").unlink()
            controller.run_once()
        store.close()
    assert len(ours(served)) == 2 and ours(served)[1].statement.revision == str(done.revision), "deployed"
    file.unlink()
    served.commit(WORSE)
    served.run()
    assert at_remote(served) == list(ours(served)) and len(ours(served)) == 3 and alarms(served) == []
    assert told(served)[-1] == AGAIN


def ended() -> None:
    """The thread that asks the remote comes to its end."""
    end = time.monotonic() + PATIENCE
    while any(thread.name == "record" for thread in threading.enumerate()):
        assert time.monotonic() < end, "it hangs for ever"
        time.sleep(0.2)


def test_two_controllers_that_push_at_once_leave_one_record(served: Site) -> None:
    """Both saw the same, and the server takes the one that is first."""
    served.run()
    first = ours(served)[0]
    other = forged(served, first, time=first.statement.time + 1)
    put(served, other)
    wins = f"unset GIT_QUARANTINE_PATH; git update-ref $ref {other.id}"
    file = hook(served, "pre-receive", f"read old new ref; case $ref in refs/toweros/*) {wins};; esac")
    served.commit(HELLO)
    served.run()
    assert at_remote(served) == [first, other], "nothing is written over it"
    assert len(told(served)) == 1 and "the record of deployments stays here: " in told(served)[0]
    file.unlink()
    served.run()
    entries = at_remote(served)
    assert entries[:2] == [first, other] and revisions(entries)[2] == str(served.run().revision), "ours follows on it"
    assert entries == list(ours(served)) and alarms(served) == []


def test_a_token_that_expired_stops_what_is_new_alone_and_is_never_shown(site: Site) -> None:
    with GitHttps(site.folder / "server", site.folder) as server:
        pygit2.settings.set_ssl_cert_locations(str(server.certificate), None)
        token = site.folder / "token"
        token.write_text(TOKEN)
        change = {"repository": server.url("remote.git"), "git_token_file": token}
        served = replace(site, settings=site.settings.model_copy(update=change))
        served.run()
        served.commit(HELLO)
        token.write_text("expired-token")
        refusal = refused(served)
        assert "access is refused" in refusal.message and "git_token_file" in refusal.hint
        assert "expired" not in f"{refusal.message}{refusal.hint}" and len(ours(served)) == 1
        token.write_text(TOKEN)
        controller, store, _ = served.start()
        stale = site.folder / "stale"
        stale.write_text("expired-token")
        late = served.settings.model_copy(update={"git_token_file": stale})
        controller._recorder = recorder.Recorder(late, store, controller._journal)
        with store.lease.held():
            assert controller.run_once().published, "it expired between the branch and the record"
        store.close()
        (said,) = told(served)
        assert "access is refused" in said and "expired" not in said and len(at_remote(served)) == 1
        served.run()
        assert at_remote(served) == list(ours(served)) and len(ours(served)) == 2 and told(served)[1:] == [AGAIN]

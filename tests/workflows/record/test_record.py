"""Stories of the record of deployments: a remote that withholds, replays or forges it, and one that refuses or hangs.

Git, its remotes, keys, store and loop are real; building is played (`tests.kit.site`).
"""

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pygit2
import pytest

from gitops.model import EventType
from gitops.sign.keys import guid
from gitops.sign.record.key import RecordKey, lines
from gitops.source.record.entry import EMPTY_TREE, Entry
from gitops.source.record.memory import RecordMemory
from gitops.store.lease import Holder
from gitops.store.notes.record import RecordTip
from gitops.workflows.record import recorder
from gitops.workflows.safekeeping.backup import Backup
from gitops.workflows.safekeeping.restore import Restore
from tests.kit.console import toweros
from tests.kit.edges import Edges, seen
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

ZERO = "0" * 40


# --- as it should be --------------------------------------------------------------------------------------------------


def test_every_deployment_is_one_entry_here_and_at_the_remote(site: Site) -> None:
    commits = deployed_twice(site)
    site.run()
    site.commit({"README.md": "changes no box\n"})
    third = site.run()
    entries = at_remote(site)
    assert entries == list(ours(site))
    assert [entry.statement.commit for entry in entries] == [*commits, third.revision.commit]
    assert [entry.statement.number for entry in entries] == [1, 2, 3]
    assert [entry.statement.boxes for entry in entries] == [3, 3, 3]
    contents = [entry.statement.content for entry in entries]
    assert contents[0] != contents[1] == contents[2], "the third one made no other release"
    assert told(site) == [] and alarms(site) == []


def test_a_fleet_that_is_deployed_already_begins_its_record_with_what_it_has(site: Site) -> None:
    deployed_twice(site)
    with site.store.lease.held():
        RecordMemory(site.store.notes).keep(0, [])
    move(site, "")
    site.run()
    assert [entry.statement.number for entry in at_remote(site)] == [1]
    assert at_remote(site)[0].statement.revision == str(site.run().revision)


def test_two_controllers_that_take_turns_write_one_record(site: Site) -> None:
    one, store, _ = site.start()
    two, other, _ = site.start()
    for controller, place in ((one, store), (two, other)):
        with place.lease.held():
            controller.run_once()
        site.commit({"README.md": f"{controller}\n"})
    site.run()
    assert [entry.statement.number for entry in at_remote(site)] == [1, 2, 3]


def test_a_second_controller_with_a_state_of_its_own_takes_the_record_over(site: Site, tmp_path: Path) -> None:
    deployed_twice(site)
    second = replace(site, settings=site.settings.model_copy(update={"state": tmp_path / "second"}))
    second.run()
    assert ours(second) == ours(site), "it deployed the same"
    assert "longer than ours by 2" in told(second)[0]
    second.commit(WORSE)
    second.run()
    site.run()
    assert [entry.statement.number for entry in at_remote(site)] == [1, 2, 3]
    assert list(ours(site)) == at_remote(site)


def test_what_was_written_while_the_remote_was_away_follows_on_what_others_wrote(site: Site, tmp_path: Path) -> None:
    site.run()
    second = replace(site, settings=site.settings.model_copy(update={"state": tmp_path / "second"}))
    shutil.copytree(site.settings.state, second.settings.state)
    silent = replace(site, settings=site.settings.model_copy(update={"record_push": False}))
    site.commit(HELLO)
    silent.run()
    time.sleep(1.1)  # in the same second, both would write the same entry
    second.run()
    site.commit(WORSE)
    done = site.run()
    entries = at_remote(site)
    assert entries == list(ours(site)) and [entry.statement.number for entry in entries] == [1, 2, 3, 4]
    assert entries[1].statement.commit == entries[2].statement.commit
    assert entries[3].statement.revision == str(done.revision)
    assert alarms(site) == []


def test_a_record_that_is_not_to_be_sent_stays_here(site: Site) -> None:
    quiet = replace(site, settings=site.settings.model_copy(update={"record_push": False}))
    deployed_twice(quiet)
    assert at_remote(site) == [] and len(ours(site)) == 2 and told(site) == []
    site.run()
    assert len(at_remote(site)) == 2, "switched on, it sends all"


# --- a remote that serves yesterday -----------------------------------------------------------------------------------


def yesterday(site: Site, tmp_path: Path) -> tuple[list[str], Path]:
    """The commits of two days, and the state after the first one."""
    first = site.run().revision.commit
    shutil.copytree(site.settings.state, tmp_path / "old-state")
    site.commit(HELLO)
    return [first, site.run().revision.commit], tmp_path / "old-state"


def test_a_restored_controller_deploys_nothing_older_than_the_record(site: Site, tmp_path: Path) -> None:
    """Its own memory is of yesterday, and so is the branch: the record alone knows."""
    commits, old = yesterday(site, tmp_path)
    shutil.rmtree(site.settings.state)
    old.rename(site.settings.state)
    site.remote.git("push", "-q", "-f", "origin", f"{commits[0]}:refs/heads/main")
    refusal = refused(site)
    assert refusal.reason == "Replayed" and commits[1] in refusal.message and "epoch" in refusal.hint
    assert refused(site).reason == "Replayed", "and again, by its own copy"
    site.remote.git("push", "-q", "-f", "origin", f"{commits[1]}:refs/heads/main")
    assert site.run().revision.commit == commits[1]


def test_whoever_raises_the_epoch_deploys_what_git_has_now(site: Site, tmp_path: Path) -> None:
    commits, old = yesterday(site, tmp_path)
    shutil.rmtree(site.settings.state)
    old.rename(site.settings.state)
    site.remote.git("push", "-q", "-f", "origin", f"{commits[0]}:refs/heads/main")
    knowing = replace(site, settings=site.settings.model_copy(update={"epoch": 5}))
    assert knowing.run().revision.commit == commits[0]
    assert [entry.statement.epoch for entry in at_remote(site)] == [0, 0, 5]
    assert knowing.run().plan.empty


def test_a_new_controller_refuses_a_branch_that_is_older_than_the_record(site: Site, tmp_path: Path) -> None:
    commits, _ = yesterday(site, tmp_path)
    second = replace(site, settings=site.settings.model_copy(update={"state": tmp_path / "second"}))
    site.remote.git("push", "-q", "-f", "origin", f"{commits[0]}:refs/heads/main")
    assert refused(second).reason == "Replayed" and not list(second.store.offers.each())


def test_a_remote_that_takes_the_record_back_is_an_alarm_and_gets_it_again(site: Site) -> None:
    deployed_twice(site)
    move(site, at_remote(site)[0].id)
    site.run()
    assert alarms(site) == ["RecordWithheld"] and len(at_remote(site)) == 2
    site.run()
    assert alarms(site) == []


def test_a_record_that_was_deleted_is_an_alarm_and_is_sent_again(site: Site) -> None:
    deployed_twice(site)
    move(site, "")
    site.run()
    assert alarms(site) == ["RecordWithheld"] and len(at_remote(site)) == 2
    withheld = [event for event in site.store.events.latest(limit=50) if event.reason == "RecordWithheld"]
    assert len(withheld) == 1 and withheld[0].type is EventType.WARNING


def test_a_remote_that_serves_yesterday_of_everything_is_an_alarm(site: Site, tmp_path: Path) -> None:
    """Who goes on from its own memory sees that both went back."""
    site.run()
    shutil.copytree(site.remote.bare, tmp_path / "yesterday.git")
    site.commit(HELLO)
    site.run()
    shutil.rmtree(site.remote.bare)
    (tmp_path / "yesterday.git").rename(site.remote.bare)
    assert refused(site).reason == "NotDescending", "the branch"
    site.remote.git("push", "-q", "origin", "HEAD:main")
    site.run()
    assert alarms(site) == ["RecordWithheld"], "and the record"


def test_killed_between_push_and_note_it_knows_what_it_recorded_though_the_remote_serves_yesterday(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry was written before it was sent: nothing that only a process remembers is needed afterwards."""
    site.run()
    shutil.copytree(site.remote.bare, tmp_path / "yesterday.git")
    site.commit(HELLO)
    controller, store, _ = site.start()

    def cut(edge: str) -> None:
        """The first write after the remote has the second entry."""
        if edge == "commit" and len(at_remote(site)) == 2 and not (tmp_path / "killed").exists():
            shutil.copytree(site.settings.state, tmp_path / "killed")

    with store.lease.held(), Edges(site.settings.state).at(cut):
        deployed = controller.run_once().revision
    store.close()
    monkeypatch.setattr(Holder, "gone", lambda _: True)  # it was this process
    for place, old in ((site.settings.state, "killed"), (site.remote.bare, "yesterday.git")):
        shutil.rmtree(place)
        (tmp_path / old).rename(place)
    tip = site.store.notes.get(RecordTip)
    assert tip and tip.sent == ours(site)[0].id, "the note of the second one was not written"
    assert refused(site).reason == "NotDescending"
    assert revisions(ours(site))[1] == str(deployed)
    site.remote.git("push", "-q", "origin", "HEAD:main")
    assert site.run().revision == deployed
    assert at_remote(site) == list(ours(site)) and len(ours(site)) == 2


def test_a_backup_holds_the_record_whatever_the_remote_serves(site: Site, tmp_path: Path) -> None:
    """The machine is lost, and of branch and record the remote serves what was there before the backup."""
    site.run()
    shutil.copytree(site.remote.bare, tmp_path / "yesterday.git")
    site.commit(HELLO)
    deployed, before = site.run().revision, ours(site)
    backup = Backup(site.store, site.settings.keys).write(tmp_path / "backup", int(time.time()))
    shutil.rmtree(site.settings.state)
    shutil.rmtree(site.remote.bare)
    (tmp_path / "yesterday.git").rename(site.remote.bare)
    Restore(site.settings).take(backup.file, replace=False, now=int(time.time()))
    assert refused(site).reason == "NotDescending" and ours(site) == before
    site.remote.git("push", "-q", "origin", "HEAD:main")
    assert site.run().revision == deployed
    assert alarms(site) == ["RecordWithheld"] and at_remote(site) == list(before)


# --- somebody else's commit -------------------------------------------------------------------------------------------


def experiment(site: Site) -> tuple[str, str]:
    """A signed experiment, pushed to main by somebody else, deployed, and taken back as if nothing had been."""
    site.run()
    base = site.remote.git("rev-parse", "HEAD")
    site.commit(HELLO)
    tried = site.run().revision.commit
    site.remote.git("reset", "-q", "--hard", base)
    site.commit({"README.md": "honest work\n"})
    return tried, site.remote.git("rev-parse", "HEAD")


def test_an_experiment_that_was_deployed_and_taken_back_is_in_the_record(site: Site, tmp_path: Path) -> None:
    """A second controller refuses what does not hold it, and whoever has a clone sees what main does not say."""
    tried, head = experiment(site)
    second = replace(site, settings=site.settings.model_copy(update={"state": tmp_path / "second"}))
    refusal = refused(second)
    assert refusal.reason == "Replayed" and tried in refusal.message
    said = verified(site, clone_of(site, tmp_path))
    assert said["history"] == (False, f"entry 2: main@sha1:{tried} is not in this clone")
    assert said["head"][0] is False and said["head"][1].startswith(f"main is {head}, and does not hold")


def test_another_commit_than_was_deployed_shows_in_a_clone(site: Site, tmp_path: Path) -> None:
    """The controller is away, and somebody moves main on."""
    deployed_twice(site)
    site.commit(WORSE)
    said = verified(site, clone_of(site, tmp_path))
    assert said["head"] == (True, "main is 1 commits ahead of what was deployed last")


def clone_of(site: Site, folder: Path) -> Path:
    """Somebody else's, with the record, fetched as the documents say."""
    place = folder / "clone"
    subprocess.run(["git", "clone", "-q", "--no-local", str(site.remote.bare), str(place)], check=True)
    spec = "refs/toweros/deployed/*:refs/toweros/deployed/*"
    subprocess.run(["git", "-C", str(place), "fetch", "-q", "origin", spec], check=True)
    return place


def verified(site: Site, clone: Path, *words: str) -> dict[str, tuple[bool, str]]:
    """What `toweros verify --record` finds there, with the public key alone."""
    file = clone.parent / "signers"
    file.write_text("\n".join(lines(site.settings.keys)) + "\n")
    done = toweros("verify", "--record", "-C", clone, "--signers", file, *words, "-o", "json")
    found = {each["what"]: (each["ok"], each["says"]) for each in json.loads(done.stdout)}
    assert done.exit_code == (0 if all(ok for ok, _ in found.values()) else 1)
    return found


def test_a_clone_and_the_public_key_are_enough(site: Site, tmp_path: Path) -> None:
    deployed_twice(site)
    noted, clone = at_remote(site)[0].id, clone_of(site, tmp_path)
    said = verified(site, clone, "--seen", noted[:16])
    assert [ok for ok, _ in said.values()] == [True] * 4 and said.keys() == {"record", "seen", "history", "head"}
    assert said["record"][1].startswith(f"2 entries of fleet {guid(site.settings.keys)}")
    assert said["head"][1] == "main is what was deployed last"
    assert verified(site, clone, "--seen", "ab" * 20)["seen"][0] is False, "withheld: somebody saw a newer one"
    other = tmp_path / "eve"
    other.mkdir()
    (tmp_path / "eves").write_text(RecordKey.open(other).allowed)
    done = toweros("verify", "--record", "-C", clone, "--signers", tmp_path / "eves")
    assert done.exit_code == 1 and "signed by another key" in " ".join(done.stdout.split())


def test_a_controller_checks_its_own_record_and_a_box_s_release_by_it(site: Site, tmp_path: Path) -> None:
    commits = deployed_twice(site)
    config = tmp_path / "toweros.toml"
    config.write_text(f'state = "{site.settings.state}"\nkeys = "{site.settings.keys}"\n')
    found = json.loads(toweros("verify", "--record", "-c", config, "-o", "json").stdout)
    assert [(each["what"], each["ok"]) for each in found] == [("record", True), ("history", True), ("head", True)]
    link = box_link(config, "a")
    assert link == {"what": "record", "ok": True, "says": f"entry 2 says that main@sha1:{commits[1]} was deployed"}
    with site.store.lease.held():
        RecordMemory(site.store.notes).keep(0, ours(site)[:1])
    link = box_link(config, "a")
    assert link["ok"] is False and link["says"].startswith("no entry of the record"), "another one offered it"
    assert toweros("verify", "a", "--record").exit_code == 1 and toweros("verify").exit_code == 1


def box_link(config: Path, box: str) -> dict[str, object]:
    done = toweros("verify", box, "-c", config, "-o", "json")
    (link,) = (each for each in json.loads(done.stdout) if each["what"] == "record")
    return link  # type: ignore[no-any-return]


# --- a record that is not ours ----------------------------------------------------------------------------------------


def strangers_key(folder: Path) -> RecordKey:
    folder.mkdir()
    return RecordKey.open(folder)


def forks(site: Site, folder: Path) -> dict[str, Callable[[], tuple[str, str]]]:
    """Attack -> what is in the ref's place, and the alarm's name."""
    first, last = ours(site)[0], ours(site)[-1]
    eve = strangers_key(folder / "eve")
    tree = pygit2.Repository(str(site.remote.bare)).TreeBuilder().write()
    assert str(tree) == EMPTY_TREE

    def in_order(*entries: Entry) -> str:
        return [put(site, entry) for entry in entries][-1]

    def tag() -> str:
        head = site.remote.git("rev-parse", "HEAD")
        text = f"object {head}\ntype commit\ntag x\ntagger E <e> 1795000000 +0000\n\nx\n"
        return site.remote.git("hash-object", "-w", "-t", "tag", "--stdin", stdin=text, cwd=site.remote.bare)

    elsewhere = "99999999-2222-3333-4444-555555555555"
    return {
        "forked": lambda: (in_order(forged(site, first, commit="e" * 40)), "RecordForked"),
        "begun anew": lambda: (in_order(forged(site, None, commit="e" * 40)), "RecordForked"),
        "signed by another key": lambda: (in_order(forged(site, last, eve)), "RecordDamaged"),
        "all of it signed again": lambda: (in_order(forged(site, None, eve)), "RecordDamaged"),
        "of another fleet": lambda: (in_order(forged(site, last, fleet=elsewhere)), "RecordDamaged"),
        "with a number left out": lambda: (in_order(forged(site, last, number=4)), "RecordDamaged"),
        "the fleet repo's own commit": lambda: (site.remote.git("rev-parse", "HEAD"), "RecordDamaged"),
        "a tag": lambda: (tag(), "RecordDamaged"),
        "a file": lambda: (site.remote.git("rev-parse", "HEAD:fleet.yaml"), "RecordDamaged"),
    }


def test_a_record_that_is_not_ours_is_an_alarm_and_nothing_is_written_over_it(site: Site, tmp_path: Path) -> None:
    deployed_twice(site)
    for attack, make in forks(site, tmp_path).items():
        target, reason = make()
        move(site, target)
        before = ours(site)
        site.commit({"README.md": f"{attack}\n"})
        done = site.run()
        assert alarms(site) == [reason], attack
        assert ours(site)[:-1] == before and ours(site)[-1].statement.revision == str(done.revision), "deployed"
        assert site.remote.git("rev-parse", ref(site), cwd=site.remote.bare) == target, attack
        site.run()
        assert alarms(site) == [reason], "said for as long as it is so"
        move(site, "")
        site.run()
        assert list(ours(site)) == at_remote(site), "once people have taken it away, ours is sent"


def test_two_fleets_in_one_repository_have_a_record_each(site: Site, tmp_path: Path) -> None:
    deployed_twice(site)
    keys = tmp_path / "other-keys"
    shutil.copytree(site.settings.keys, keys)
    (keys / "record").unlink()
    (keys / "GUID").write_text("99999999-2222-3333-4444-555555555555\n")
    second = replace(site, settings=site.settings.model_copy(update={"state": tmp_path / "second", "keys": keys}))
    second.run()
    assert [len(at_remote(site)), len(at_remote(second))] == [2, 1]
    assert alarms(site) == alarms(second) == []
    clone = clone_of(site, tmp_path)
    done = toweros("verify", "--record", "-C", clone, "--signers", tmp_path / "no-such")
    assert done.exit_code == 1
    assert verified(site, clone, "--fleet", guid(site.settings.keys))["record"][0]
    (tmp_path / "signers").write_text("\n".join(lines(keys)))
    mixed = toweros("verify", "--record", "-C", clone, "--signers", tmp_path / "signers")
    assert mixed.exit_code == 1 and "several fleets" in str(mixed.exception)


# --- a remote that refuses, hangs, dies -------------------------------------------------------------------------------


@pytest.fixture
def https(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHttps]:
    (site.folder / "token").write_text(TOKEN)
    with GitHttps(site.folder / "https", site.folder) as server:
        pygit2.settings.set_ssl_cert_locations(str(server.certificate), None)
        yield server


def over_https(site: Site, https: GitHttps) -> Site:
    change = {"repository": https.url("remote.git"), "git_token_file": site.folder / "token"}
    return replace(site, settings=site.settings.model_copy(update=change))


def test_a_remote_over_https_takes_the_record_with_the_token(site: Site, https: GitHttps) -> None:
    commits = deployed_twice(over_https(site, https))
    assert [entry.statement.commit for entry in at_remote(site)] == commits
    assert told(site) == []


def test_a_remote_that_takes_no_push_is_told_once_and_stops_nothing(site: Site, https: GitHttps) -> None:
    """Credentials that may only read."""
    site.remote.git("config", "http.receivepack", "false", cwd=site.remote.bare)
    reading = over_https(site, https)
    commits = deployed_twice(reading)
    reading.run()
    assert [entry.statement.commit for entry in ours(site)] == commits and at_remote(site) == []
    assert len(told(site)) == 1 and told(site)[0].startswith("the record of deployments stays here: ")
    assert TOKEN not in str(told(site)) and alarms(site) == []
    site.remote.git("config", "http.receivepack", "true", cwd=site.remote.bare)
    reading.run()
    assert at_remote(site) == list(ours(site)) and told(site)[1:] == [
        "the remote takes the record of deployments again"
    ]


def test_a_remote_with_a_working_folder_is_told_what_to_do(site: Site) -> None:
    """libgit2 pushes into bare repositories of this machine alone. It was told to be unreachable."""
    change = {"repository": str(site.remote.work)}
    working = replace(site, settings=site.settings.model_copy(update=change))
    assert working.run().published
    (said,) = told(site)
    assert "is a repository with a working folder" in said and "git clone --bare" in said and "unreachable" not in said


def test_a_remote_that_refuses_this_ref_alone_is_told(site: Site, https: GitHttps) -> None:
    hook = site.remote.bare / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ncase $1 in refs/toweros/*) echo no such refs here >&2; exit 1;; esac\n")
    hook.chmod(0o755)
    over_https(site, https).run()
    assert at_remote(site) == [] and "does not take refs/toweros/deployed/" in told(site)[0]


def test_a_remote_that_hangs_delays_one_pass_for_a_moment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and says nothing. The pass that is under way goes on, and writes its entry."""
    monkeypatch.setattr(recorder, "WAIT", 0.2)
    first = site.run()
    silent = socket.create_server(("127.0.0.1", 0))
    hanging = site.settings.model_copy(update={"repository": f"https://127.0.0.1:{silent.getsockname()[1]}/fleet.git"})
    controller, store, _ = site.start()
    controller._recorder = recorder.Recorder(hanging, store, controller._journal)
    site.commit(HELLO)
    with store.lease.held():
        second = controller.run_once()
        third = controller.run_once()
    assert third.plan.empty and revisions(ours(site)) == [str(first.revision), str(second.revision)]
    assert told(site) == [f"the record of deployments stays here: {recorder.SILENT}"]
    assert sum(thread.name == "record" for thread in threading.enumerate()) == 1, "one question at a time"
    silent.close()
    site.run()
    assert at_remote(site) == list(ours(site)), "it is sent when the remote is back"


def test_an_empty_record_is_not_begun_before_the_remote_has_answered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a controller that lost its state would begin a second record beside the first."""
    monkeypatch.setattr(recorder, "WAIT", 0.2)
    silent = socket.create_server(("127.0.0.1", 0))
    hanging = site.settings.model_copy(update={"repository": f"https://127.0.0.1:{silent.getsockname()[1]}/fleet.git"})
    controller, store, _ = site.start()
    controller._recorder = recorder.Recorder(hanging, store, controller._journal)
    with store.lease.held():
        assert controller.run_once().published
    assert ours(site) == ()
    silent.close()
    site.run()
    assert len(at_remote(site)) == 1


def test_a_controller_that_is_killed_at_any_write_leaves_one_entry_in_the_end(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each change of a file or of the database, from the old state on; the remote is whatever it was then."""
    site.run()
    site.commit(HELLO)
    state, copies, last = site.settings.state, list[tuple[Path, Path]](), list[object]()

    def cut(edge: str) -> None:
        """Where what is deployed or recorded differs from the last time."""
        if not edge.startswith("commit"):
            return
        rows = "\n".join(map(str, seen(state)[1]))
        now: list[object] = [
            *re.findall("[^\n]*'(?:record|deployed)[^\n]*", rows),
            [each.id for each in at_remote(site)],
        ]
        if now != last:
            last[:] = now
            place = tmp_path / f"cut-{len(copies)}"
            copies.append(
                (shutil.copytree(state, place / "state"), shutil.copytree(site.remote.bare, place / "remote"))
            )

    controller, store, _ = site.start()
    with store.lease.held(), Edges(state).at(cut):
        done = controller.run_once()
    cut("commit, the last one")
    store.close()
    assert len(copies) >= 4
    monkeypatch.setattr(Holder, "gone", lambda _: True)  # whoever held the lease has died: it was this process
    for old_state, old_remote in copies:
        for place, old in ((state, old_state), (site.remote.bare, old_remote)):
            shutil.rmtree(place)
            old.rename(place)
        site.run()
        assert len(ours(site)) == 2 and revisions(ours(site))[1] == str(done.revision)
        assert at_remote(site) == list(ours(site)) and alarms(site) == []


def test_a_clone_of_the_record_that_is_lost_or_damaged_is_made_again(site: Site) -> None:
    deployed_twice(site)
    (site.settings.state / "record" / "clone.git" / "HEAD").write_text("garbage")
    (site.settings.state / "record" / "clone.git" / "index.lock").write_text("")
    site.commit(WORSE)
    site.run()
    shutil.rmtree(site.settings.state / "record")
    site.commit({"README.md": "more\n"})
    site.run()
    assert len(at_remote(site)) == 4 and told(site) == []


def test_a_damaged_row_is_told_and_stops_no_deployment(site: Site) -> None:
    deployed_twice(site)
    site.store.close()
    with site.store.lease.held():
        pass
    damage(site)
    site.commit(WORSE)
    assert site.run().published and "missing" in told(site)[-1]


def damage(site: Site) -> None:
    from gitops.store.notes.record import RecordEntry

    store = site.store
    with store.lease.held():
        store.notes.forget(RecordEntry, ["00000001"])


def test_a_key_that_was_rotated_goes_on_with_the_record(site: Site, tmp_path: Path) -> None:
    deployed_twice(site)
    done = toweros("keys", "rotate", "record", site.settings.keys)
    assert done.exit_code == 0
    site.commit(WORSE)
    site.run()
    assert at_remote(site) == list(ours(site)) and len(at_remote(site)) == 3
    assert len(toweros("keys", "record", site.settings.keys).stdout.splitlines()) == 2
    assert verified(site, clone_of(site, tmp_path))["record"][0]

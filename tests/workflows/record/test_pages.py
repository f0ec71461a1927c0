"""A record of deployments that goes on from page to page, and a remote that hides it.

Git, keys, store and loop are real; a page has three entries here.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pygit2
import pytest

from gitops.sign.keys import guid
from gitops.sign.record.key import RecordKey, lines
from gitops.source.record import chain
from gitops.source.record.entry import Entry, following, made, read_entry
from gitops.source.record.exchange import page_ref
from gitops.source.record.memory import RecordMemory
from gitops.store.notes.documents import Status
from tests.kit.console import toweros
from tests.kit.site import Site
from tests.simulators.https import TOKEN, GitHttps


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "PAGE", 3)


def ref(site: Site, page: int) -> str:
    return page_ref(guid(site.settings.keys), page)


def page(site: Site, number: int) -> list[int]:
    """The numbers of the entries on a page of the remote, as Git walks it."""
    repository = pygit2.Repository(str(site.remote.bare))
    if ref(site, number) not in repository.references:
        return []
    walk = repository.walk(repository.references[ref(site, number)].target)
    return [read_entry(each.read_raw()).statement.number for each in walk][::-1]


def ours(site: Site) -> tuple[Entry, ...]:
    return RecordMemory(site.store.notes).entries()


def move(site: Site, number: int, target: str) -> None:
    words = ("-d", ref(site, number)) if not target else (ref(site, number), target)
    site.remote.git("update-ref", *words, cwd=site.remote.bare)


def alarms(site: Site) -> list[str]:
    status = site.store.notes.get(Status)
    assert status
    return [alarm.reason for alarm in status.alarms]


def events(site: Site, reason: str) -> list[str]:
    return [event.message for event in site.store.events.latest(limit=100) if event.reason == reason]


def deploy(site: Site, count: int) -> None:
    for _ in range(count):
        site.commit({"README.md": f"{len(ours(site))}\n"})
        site.run()


def verified(site: Site, folder: Path) -> list[dict[str, object]]:
    """What a fresh clone and the public key say."""
    place, signers = folder / f"clone-{len(list(folder.iterdir()))}", folder / "signers"
    subprocess.run(["git", "clone", "-q", "--no-local", str(site.remote.bare), str(place)], check=True)
    spec = "refs/toweros/deployed/*:refs/toweros/deployed/*"
    subprocess.run(["git", "-C", str(place), "fetch", "-q", "origin", spec], check=True)
    signers.write_text("\n".join(lines(site.settings.keys)) + "\n")
    found: list[dict[str, object]] = json.loads(
        toweros("verify", "--record", "-C", place, "--signers", signers, "-o", "json").stdout
    )
    return found


def test_a_record_goes_on_from_page_to_page(site: Site, tmp_path: Path) -> None:
    """It ended at its fifty thousandth entry, and nobody was told."""
    deploy(site, 7)
    assert [page(site, number) for number in (1, 2, 3, 4)] == [[1, 2, 3], [4, 5, 6], [7], []]
    assert [entry.statement.number for entry in ours(site)] == [1, 2, 3, 4, 5, 6, 7]
    assert [entry.parent for entry in ours(site)[::3]] == ["", "", ""]
    found = verified(site, tmp_path)
    assert [each["ok"] for each in found] == [True] * 3 and str(found[0]["says"]).startswith("7 entries")
    assert alarms(site) == [] and events(site, "Record") == []


def test_a_second_controller_takes_all_pages_over_and_goes_on(site: Site, tmp_path: Path) -> None:
    deploy(site, 5)
    second = replace(site, settings=site.settings.model_copy(update={"state": tmp_path / "second"}))
    second.run()
    assert ours(second) == ours(site) and "longer than ours by 5" in events(second, "Record")[0]
    deploy(second, 2)
    site.run()
    assert ours(site) == ours(second) and page(site, 3) == [7] and alarms(site) == []


def test_entries_of_three_pages_that_the_remote_never_had_are_sent_at_once(site: Site) -> None:
    quiet = replace(site, settings=site.settings.model_copy(update={"record_push": False}))
    deploy(quiet, 7)
    assert page(site, 1) == []
    site.run()
    assert [page(site, number) for number in (1, 2, 3)] == [[1, 2, 3], [4, 5, 6], [7]] and alarms(site) == []


TAKEN_BACK = {
    "the newest page": lambda site: move(site, 2, ""),
    "entries of the first page": lambda site: move(site, 1, ours(site)[0].id),
    "the first page": lambda site: move(site, 1, ""),
}


@pytest.mark.parametrize("take", TAKEN_BACK.values(), ids=TAKEN_BACK)
def test_whatever_page_is_taken_back_is_an_alarm_and_sent_again(site: Site, take: Callable[[Site], object]) -> None:
    deploy(site, 5)
    take(site)
    site.run()
    assert alarms(site) == ["RecordWithheld"] and [page(site, number) for number in (1, 2)] == [[1, 2, 3], [4, 5]]
    site.run()
    assert alarms(site) == []


def put(site: Site, entry: Entry) -> str:
    repository = pygit2.Repository(str(site.remote.bare))
    return str(repository.odb.write(int(pygit2.enums.ObjectType.COMMIT), entry.raw))


def forged(site: Site, before: Entry, parent: str, key: RecordKey | None = None, **change: object) -> str:
    said = replace(ours(site)[-1].statement, **{**following(before), **change})  # type: ignore[arg-type]
    return put(site, made(said, parent, (key or RecordKey.open(site.settings.keys)).sign))


def test_a_page_that_is_not_ours_is_an_alarm_and_nothing_is_written_over_it(site: Site, tmp_path: Path) -> None:
    deploy(site, 3)
    (tmp_path / "eve").mkdir()
    eve, last = RecordKey.open(tmp_path / "eve"), ours(site)[2]
    for target in (
        forged(site, last, "", eve),  # by another key
        forged(site, ours(site)[1], ""),  # ours, on top of an older entry
        forged(site, last, last.id),  # goes on where a page begins
        last.id,  # the page before
        ours(site)[0].id,
        site.remote.git("rev-parse", "HEAD"),
    ):
        move(site, 2, target)
        site.run()
        assert alarms(site) == ["RecordDamaged"] and len(ours(site)) == 3
        assert site.remote.git("rev-parse", ref(site, 2), cwd=site.remote.bare) == target
    move(site, 2, "")
    deploy(site, 1)
    assert alarms(site) == [] and page(site, 2) == [4]


def test_a_clone_that_lacks_a_page_says_which(site: Site, tmp_path: Path) -> None:
    deploy(site, 7)
    move(site, 2, "")
    (said,) = verified(site, tmp_path)
    assert said["ok"] is False and f"page 2 of it, {ref(site, 2)}, is missing" in str(said["says"])


# --- a remote that hides the record from who reads --------------------------------------------------------------------


@pytest.fixture
def https(site: Site) -> Iterator[Site]:
    """The site, with its remote over https."""
    (site.folder / "token").write_text(TOKEN)
    with GitHttps(site.folder / "https", site.folder) as server:
        pygit2.settings.set_ssl_cert_locations(str(server.certificate), None)
        change = {"repository": server.url("remote.git"), "git_token_file": site.folder / "token"}
        yield replace(site, settings=site.settings.model_copy(update=change))


def test_a_remote_that_hides_the_record_from_readers_is_one_alarm_that_says_what_to_do(https: Site) -> None:
    """It took the record, said that there was none, and each deployment was an alarm that somebody took it back."""
    config = ("config", "--add", "uploadpack.hideRefs")
    https.remote.git(*config, "refs/toweros", cwd=https.remote.bare)
    deploy(https, 5)
    https.run()
    assert [page(https, number) for number in (1, 2)] == [[1, 2, 3], [4, 5]], "it has all of it"
    assert alarms(https) == ["RecordHidden"]
    (told,) = events(https, "RecordHidden")
    assert "refs/toweros/deployed/" in told and events(https, "RecordWithheld") == []
    https.remote.git(*config, "!refs/toweros/deployed/", cwd=https.remote.bare)  # as the alarm says
    deploy(https, 1)
    assert alarms(https) == []


def test_a_remote_that_hides_it_from_everybody_is_one_alarm_too(https: Site) -> None:
    deploy(https, 1)
    https.remote.git("config", "transfer.hideRefs", "refs/toweros", cwd=https.remote.bare)
    deploy(https, 3)
    assert alarms(https) == ["RecordHidden"] and len(events(https, "RecordHidden")) == 1
    assert len(events(https, "Record")) == 1, "what it does not take stays here"
    https.remote.git("config", "--unset-all", "transfer.hideRefs", cwd=https.remote.bare)
    https.run()
    assert alarms(https) == [] and page(https, 2) == [4]

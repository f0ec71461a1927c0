"""A controller that came back from last week's backup: the agent's own trust code says what it still believes."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from pydantic import ValidationError
from toweros_agent import rules
from toweros_agent.nouns import Offer, Refused
from toweros_agent.offer.net import Http
from toweros_agent.offer.repository import seen
from toweros_agent.offer.trust import Trust
from typer.testing import CliRunner

from gitops.cli.main import application
from gitops.errors import PublishError
from gitops.model import Happened, HoldReason, Publication, Report
from gitops.publish import Publisher
from gitops.rollout.status import fleet_status
from gitops.server import create_app, serve
from gitops.server.people.metrics import exposition
from gitops.settings import Settings
from gitops.store.notes.documents import Status
from gitops.store.notes.restored import VersionFloor
from gitops.workflows.safekeeping import ahead
from gitops.workflows.safekeeping.backup import Backup
from gitops.workflows.safekeeping.restore import Restore
from tests.kit.site import HELLO, WORSE, Site


class Box:
    """What box `name` believes, in a folder of its own, and what it runs."""

    def __init__(self, site: Site, name: str) -> None:
        self.site, self.name, self.folder = site, name, site.folder / f"box-{name}"
        self.folder.mkdir(exist_ok=True)

    def looks(self) -> Offer:
        """What it is offered, as far as it believes it. Raises Refused."""
        with self._trust() as trust:
            return trust.offer()

    @contextmanager
    def _trust(self) -> Iterator[Trust]:
        settings = self.site.settings
        root = (settings.keys / "1.root.json").read_bytes()
        with serve(create_app(self.site.store, settings), "127.0.0.1:0") as url:
            yield Trust(Http(lambda: None, lambda _: None), self.folder, root, url, self.name)

    def reports(self, *, believes: bool = True, **said: object) -> Report:
        """As `Site.report`, with what it believes, through the server's door."""
        known = self.site.store.boxes.report(self.name)
        assert known
        trusted = seen(self.folder, self.name) if believes else None
        report = replace(known, counter=known.counter + 1, trusted=trusted, **said)  # type: ignore[arg-type]
        assert self.site.store.boxes.save_report(report)
        ahead.notice(self.site.store, report, int(time.time()))
        return report


@pytest.fixture
def week(site: Site) -> tuple[Site, Path, Box]:
    """A backup, and a week after it: two commits went out to every box, a hold came and went."""
    site.commit({"fleet.yaml": "source: {branch: main}\nrollout: {canaries: 3}\n"})
    site.run()
    box = Box(site, "a")
    box.looks()
    for each in site.offers():
        site.report(each)
    backup = Backup(site.store, site.settings.keys).write(site.folder / "old.backup", int(time.time()))
    for change in (HELLO, {"boxes/b.yaml": 'role: vm\nsuspended: "ada"\n'}, {**WORSE, "boxes/b.yaml": "role: vm\n"}):
        site.commit(change)
        site.run()
        box.looks()
    for each in site.offers():
        site.report(each)
    return site, backup.file, box


def lost(site: Site, backup: Path) -> None:
    """The machine is gone, at the end of that week; its backup is not. What was signed within one second here has
    versions of the seconds after it, which no week has."""
    while min(int(time.time()) - version for version in own_versions(site)) <= 0:
        time.sleep(0.05)
    shutil.rmtree(site.settings.state)
    Restore(site.settings).take(backup, replace=False, now=int(time.time()))


def versions(site: Site) -> list[int]:
    """Of timestamp, and of all that it reaches."""
    folder = site.settings.state / "repo" / "metadata"
    timestamp = json.loads((folder / "timestamp.json").read_bytes())["signed"]
    snapshot = timestamp["meta"]["snapshot.json"]["version"]
    meta = json.loads((folder / f"{snapshot}.snapshot.json").read_bytes())["signed"]["meta"]
    return [timestamp["version"], snapshot, *(row["version"] for row in meta.values())]


def test_restored_from_last_week_s_backup_boxes_go_on_and_nothing_older_is_published(
    week: tuple[Site, Path, Box],
) -> None:
    site, backup, box = week
    before, offers = box.looks(), site.offers()
    lost(site, backup)
    with pytest.raises(Refused, match="BadVersionNumber"):
        box.looks()
    site.run()
    again = box.looks()
    assert (again.sequence, again.content, site.offers()) == (before.sequence, before.content, offers)
    assert min(versions(site)) > 1_700_000_000, "above all that was ever signed"
    assert Happened.RESTORED in {event.reason for event in site.store.events.latest("", limit=99)}
    site.commit({"pkg/hello/file": "hello 9\n"})
    site.run()
    assert box.looks().sequence == before.sequence + 1 and site.run().plan.empty


def test_when_git_came_back_from_last_week_too_nothing_older_goes_out_and_it_is_said_what_to_do(
    week: tuple[Site, Path, Box],
) -> None:
    site, backup, box = week
    before, offers = box.looks(), site.offers()
    reports, head = [site.store.boxes.report(name) for name in offers], site.remote.git("rev-parse", "HEAD")
    lost(site, backup)
    without_record(site)
    site.remote.git("push", "-q", "-f", "origin", "HEAD~3:main")
    for report in reports:
        assert report and site.store.boxes.save_report(replace(report, counter=99))
    done = site.run()
    assert done.published == () and site.offers().keys() == offers.keys()
    (warning,) = done.warnings
    assert f"({before.sequence}, Git: {before.sequence - 3})" in warning and "`epoch = 4`" in warning
    assert said(site) == warning
    kept = site.folder / "kept"
    shutil.copytree(site.settings.state, kept)
    site.remote.git("reset", "-q", "--hard", "HEAD~3")
    site.commit({"pkg/hello/file": "hello 7\n"})
    done = site.run()
    assert done.published == () and {hold.reason for hold in done.held.values()} == {HoldReason.CANNOT_BE_OFFERED}
    assert "which it runs" in str(done.held["a"])
    shutil.rmtree(site.settings.state)
    shutil.copytree(kept, site.settings.state)
    without_record(site)
    site.remote.git("push", "-q", "-f", "origin", f"{head}:main")
    assert site.run().warnings == () and site.offers() == offers, "somebody had the commits"
    assert box.looks().sequence == before.sequence


def own_versions(site: Site) -> list[int]:
    """Of the timestamps of the boxes' own repositories."""
    found = (site.settings.state / "repo" / "metadata" / "boxes").glob("*/timestamp.json")
    return [json.loads(file.read_bytes())["signed"]["version"] for file in found]


def without_record(site: Site) -> None:
    """All of Git came back from last week: what was deployed since is not in its record, either."""
    ref = site.remote.git("for-each-ref", "--format=%(refname)", "refs/toweros", cwd=site.remote.bare)
    site.remote.git("update-ref", "-d", ref, cwd=site.remote.bare)


def said(site: Site) -> str:
    """What the database, the page and the metrics have for people; the same in all of them."""
    (warning,) = (site.store.notes.get(Status) or Status()).warnings
    fleet = fleet_status(site.store, int(time.time()))
    assert fleet.controller.warnings == (warning,) and b"toweros_warnings 1.0" in exposition(fleet)
    events = [event.message for event in site.store.events.latest("", limit=99)]
    assert events.count(warning) == 1, "said once, however many passes there are"
    done = CliRunner().invoke(application(), ["status", "--state", str(site.settings.state)])
    structlog.reset_defaults()
    assert done.exit_code == 0 and "Push the commits that are missing" in " ".join(done.output.split())
    return warning


def test_with_the_number_that_is_named_git_is_ahead_again(week: tuple[Site, Path, Box]) -> None:
    site, backup, box = week
    reports = [site.store.boxes.report(name) for name in ("a", "b", "c")]
    lost(site, backup)
    without_record(site)
    site.remote.git("reset", "-q", "--hard", "HEAD~3")
    site.remote.git("push", "-q", "-f", "origin", "HEAD")
    for report in reports:
        assert report and site.store.boxes.save_report(replace(report, counter=99))
    (warning,) = site.run().warnings
    epoch = int(warning.partition("epoch = ")[2].partition("`")[0])
    raised = Site(site.folder, site.remote, site.settings.model_copy(update={"epoch": epoch}))
    done = raised.run()
    assert done.warnings == () and set(done.published) == {"a", "b", "c"}
    assert {step.reason for step in done.plan.boxes} == {"it runs a newer release than it was offered here"}
    offer, running = box.looks(), reports[0]
    assert running and offer.sequence == running.sequence + 1 and offer.content != running.content
    current = type("Running", (), {"sequence": running.sequence, "content": running.content})()
    assert rules.decide(offer, current, (), 0) is None, "the box takes it"
    for name in raised.offers():
        raised.report(name)
    assert raised.run().plan.empty


def test_a_database_that_was_put_back_by_hand_is_noticed_by_what_boxes_believe(site: Site) -> None:
    """No restore knows of it, Git asks for nothing new, and the timestamps are fresh."""
    site.run()
    box, kept = Box(site, "a"), site.folder / "kept"
    box.looks()
    site.report("a")
    shutil.copytree(site.settings.state, kept)
    for why in ("ada", "ben"):
        site.commit({"boxes/a.yaml": f'role: vm\nsuspended: "{why}"\n'})
        site.run()
        box.looks()
    site.commit({"boxes/a.yaml": "role: vm\n"})
    shutil.rmtree(site.settings.state)
    shutil.copytree(kept, site.settings.state)
    site.run()
    with pytest.raises(Refused, match="BadVersionNumber"):
        box.looks()
    box.reports(believes=False)
    assert site.store.notes.get(VersionFloor) is None, "an older agent says nothing of it"
    box.reports()
    assert site.run().published == () and min(versions(site)) > 1_700_000_000
    box.looks()
    box.reports()
    assert site.run().plan.empty
    assert [event.reason for event in site.store.events.latest("a")].count(Happened.BEHIND) == 1


def test_a_box_that_lies_of_what_it_has_seen_costs_one_signature_an_hour(site: Site) -> None:
    site.run()
    site.report("a")
    box = Box(site, "a")
    report, now = box.reports(), int(time.time())
    for version in (10**12, 1 << 52):
        lie = {"timestamp": version, "snapshot": 1, "sha256": "0" * 64}
        ahead.notice(site.store, replace(report, trusted=lie), now)
    assert site.store.notes.get(VersionFloor) is None
    (told,) = [event for event in site.store.events.latest("a") if event.reason == Happened.BEHIND]
    assert told.message == ahead.NOT_BELIEVED, "people are told, once"
    for later in (0, 60, 3000):
        ahead.notice(site.store, replace(report, trusted=lie | {"timestamp": 77 + later}), now + later)
    assert site.store.notes.get(VersionFloor) == VersionFloor(now, True)
    site.run()
    assert max(versions(site)) <= now + 1


def test_a_box_that_lies_of_its_release_moves_no_epoch_and_is_named(site: Site) -> None:
    """Followed, `epoch` would take the numbers of releases to where no box accepts one ever again."""
    site.run()
    for name in ("a", "b"):
        site.report(name)
    revision = site.store.offers.published("a").revision  # type: ignore[union-attr]
    says(site, "b", (1 << 53) - 1)
    assert ahead.outrun(site.store, revision, 1_790_000_000) == frozenset() == {*site.store.states.ahead()} - {"b"}
    assert site.store.notes.get(VersionFloor) is None
    (words,) = ahead.warnings(site.store, revision, 0)
    assert words.startswith("b claims release 9007199254740991 ") and "it lies or is damaged; revoke it" in words
    assert "epoch" not in words
    says(site, "a", revision.sequence + 7)
    honest, lie = ahead.warnings(site.store, revision, 0)
    assert "`epoch = 8`" in honest and lie == words
    with pytest.raises(ValidationError, match="epoch"):
        Settings(epoch=1 << 31)


def test_a_box_that_ran_ahead_is_made_a_release_once_however_long_that_waits(site: Site) -> None:
    site.run()
    for name in site.offers():
        site.report(name)
    known = site.store.boxes.report("c")
    assert known
    says(site, "c", known.sequence + 1)
    for number in range(3):
        site.commit({"pkg/hello/file": f"hello {number}\n"})
    assert {step.subject for step in site.run().plan.boxes} == {"a", "b", "c"}
    candidates = [each.sequence for each in (state.candidate for state in site.store.states.all()) if each.release]
    assert candidates and max(candidates) > known.sequence + 1, "c waits for its turn"
    assert site.run().plan.empty


def test_a_report_that_lands_while_releases_are_judged_ends_nobody_s_pass(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run()
    for name in site.offers():
        site.report(name)
    site.commit(HELLO)
    real = Publisher.refused

    def then_it_reports(self: Publisher, publications: Sequence[Publication]) -> dict[str, str]:
        found = real(self, publications)
        says(site, "a", 99)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Publisher, "refused", then_it_reports)
        assert site.run().published == ("a",)
    assert site.run().warnings, "it is seen with the next pass"


def says(site: Site, box: str, sequence: int) -> None:
    known = site.store.boxes.report(box)
    assert known
    said = replace(known, counter=known.counter + 1, sequence=sequence, content="9" * 64)
    assert site.store.boxes.save_report(said)


def test_a_release_that_its_box_would_refuse_is_not_published(site: Site) -> None:
    site.run()
    site.report("a")
    known, publication = site.store.boxes.report("a"), site.store.offers.published("a")
    assert known and publication
    from gitops.sign import Signer

    site.store.boxes.save_report(replace(known, counter=9, sequence=known.sequence + 5, content="9" * 64))
    publisher = Publisher(site.store, Signer.open(site.settings.keys, site.store))
    with pytest.raises(PublishError, match="is not newer than 6, which it runs"):
        publisher.publish([publication])

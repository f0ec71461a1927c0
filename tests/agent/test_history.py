"""What one boot makes of what those before it left: each decision by itself, on a disk and an ESP of a few files."""

import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from toweros_agent import deadlines
from toweros_agent.history import GAVE_UP, MAX_CUTS, TOLD, UNKNOWN, History
from toweros_agent.host.boot import Boot
from toweros_agent.host.disk import Disk
from toweros_agent.host.esp import Esp
from toweros_agent.nouns import Failure, Offer, Reset, Staged, Target, Verdict

NOW = 1_800_000_000
RUNS = Boot("demo-1", "7" * 64, 7, "http://192.0.2.1", False, entry="toweros-7.efi")
TRIAL_LINE = "probation --begin_trial--> probation"


def content(sequence: int) -> bytes:
    return b"kernel %d" % sequence


def staged(sequence: int, name: str = "") -> Staged:
    uki, addon = (sha256(data).hexdigest() for data in (content(sequence), b"addon"))
    return Staged(sequence, str(sequence) * 64, name or f"content-{sequence}", uki, addon)


class Site:
    """A disk and an ESP; `history` is what an agent makes of them that starts now."""

    def __init__(self, root: Path) -> None:
        (root / "esp/EFI/Linux").mkdir(parents=True)
        self.disk, self.esp = Disk(root), Esp(root / "esp")
        self.boot_id, self.pstore, self.sys = root / "boot_id", root / "pstore", root / "sys"
        self.boot_id.write_text("this boot\n")

    def entry(self, name: str, sequence: int) -> None:
        (self.esp.folder / name).write_bytes(content(sequence))
        self.esp.addon(sequence).parent.mkdir()
        self.esp.addon(sequence).write_bytes(b"addon")

    def history(self, boot: Boot = RUNS, *known: Staged) -> History:
        made = History(self.disk, self.esp, boot, self.boot_id)
        for each in known:
            made.memory.staged[each.sequence] = each
        return made

    def say_in_trial(self, sequence: int) -> None:
        self.disk.log(sequence, TRIAL_LINE)

    def reset_bit(self) -> None:
        device = self.sys / "class/watchdog/watchdog0"
        device.mkdir(parents=True)
        (device / "bootstatus").write_text("32\n")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.entry("toweros-7.efi", 7)
    return made


# --- going back ---


def test_what_was_given_up_is_remembered_with_what_initrd_boot_and_services_said(site: Site) -> None:
    site.entry("toweros-8+2-1.efi", 8)
    site.disk.log(8, "it started")
    (site.disk.state / "why-8").write_text("no disk\n")
    site.history(RUNS, staged(7), staged(8)).fail(staged(8), Verdict.FAILED, "it is bad", "web: no port")
    again = site.history()
    (failure,) = again.memory.failures
    assert abs(failure.time - time.time()) < 60 and failure.log == "it started\nno disk\nweb: no port"
    assert (failure.sequence, failure.verdict, failure.reason) == (8, Verdict.FAILED, "it is bad")
    assert again.memory.staged == {7: staged(7)}
    assert [entry.name for entry in site.esp.entries()] == ["toweros-7.efi", "toweros-8+0-1.efi"]


def test_a_trial_is_given_up_once_it_failed_and_only_then(site: Site) -> None:
    trial = replace(RUNS, sequence=8, release="8" * 64, trial=True)
    assert not site.history(trial).condemned(), "nothing failed yet"
    history = site.history(trial, staged(8))
    history.memory.failures.append(Failure(8, "8" * 64, "c", "u", Verdict.INDETERMINATE, "power", NOW))
    assert not history.condemned(), "it was staged again after that"
    del history.memory.staged[8]
    assert history.condemned()
    history.memory.failures.append(Failure(6, "6" * 64, "c", "u", Verdict.FAILED, "another", NOW))
    assert not history.condemned()


# --- why a release does not run ---


def test_a_release_whose_entry_never_got_its_name_did_not_fail(site: Site) -> None:
    history = site.history(RUNS, staged(8), staged(9))
    history.memory.retried = {staged(8).content: ["ada: x"], "other": ["ada: y"]}
    site.entry("toweros-9+0-3.efi", 9)
    history.look_back(site.pstore, "")
    assert history.memory.staged == {} and history.memory.retried == {"other": ["ada: y"]}
    assert [each.sequence for each in history.memory.failures] == [9], "the other one is looked at as well"


def test_only_what_is_newer_than_what_runs_is_waited_for(site: Site) -> None:
    history = site.history(RUNS, staged(6), staged(7), staged(8))
    assert [each.sequence for each in history.waiting()] == [8]
    site.entry("toweros-6+0-3.efi", 6)
    history.look_back(site.pstore, "")
    assert history.memory.failures == [] and sorted(history.memory.staged) == [6, 7]


@pytest.mark.parametrize("cuts", [0, MAX_CUTS - 1, MAX_CUTS])
def test_power_that_was_lost_in_a_trial_is_forgiven_so_often(
    site: Site, cuts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    site.entry("toweros-8+0-3.efi", 8)
    site.say_in_trial(8)
    history = site.history(RUNS, staged(8))
    if cuts:
        history.memory.cuts[staged(8).content] = cuts
    history.look_back(site.pstore, "")
    memory = site.history().memory
    forgiven = cuts < MAX_CUTS
    assert [each.verdict for each in memory.failures] == ([] if forgiven else [Verdict.INDETERMINATE])
    assert memory.staged == {} and memory.cuts[staged(8).content] == min(cuts + 1, MAX_CUTS)
    said = (site.disk.state / "boot-7.log").read_text()
    assert said == capsys.readouterr().err, "whoever sits at the console sees it, too"
    assert said.startswith("release 8 does not run: its tries are used up")
    assert ("release 8 lost power in its trial: that does not count" in said) == forgiven
    if forgiven:
        assert abs(memory.cut_at[staged(8).content] - time.time()) < 60


def lost(site: Site, name: str = "toweros-8+0-3.efi", *, in_trial: bool = True) -> History:
    """The last try of 8 ended, as far as anybody can tell by loss of power."""
    site.entry(name, 8)
    if in_trial:
        site.say_in_trial(8)
    return site.history(RUNS, staged(8))


def test_a_try_that_ended_in_another_way_is_not_forgiven(site: Site) -> None:
    history = lost(site)
    (site.disk.state / "why-8").write_text("a layer is damaged\n")
    history.look_back(site.pstore, "")
    (failure,) = history.memory.failures
    assert failure.reason == "a layer is damaged" and history.memory.cuts == {}


def test_a_kernel_that_panicked_is_not_forgiven_and_what_it_left_is_kept(site: Site) -> None:
    history = lost(site)
    site.pstore.mkdir()
    (site.pstore / "dmesg-efi-1").write_text("Kernel panic - not syncing: no init\n")
    history.look_back(site.pstore, "")
    (failure,) = history.memory.failures
    assert "tries are used up" in failure.reason and failure.log.endswith("not syncing: no init")


@pytest.mark.parametrize(
    ("name", "in_trial", "reason"),
    [
        ("toweros-8+0-3.efi", False, "its tries are used up"),
        ("toweros-8+2-1.efi", True, "refused by the firmware"),
        ("toweros-8+3.efi", True, "the boot loader never tried it"),
    ],
    ids=["before-its-trial", "tries-left", "not-tried"],
)
def test_what_never_came_to_its_trial_or_has_tries_left_lost_no_power(
    site: Site, name: str, in_trial: bool, reason: str
) -> None:
    history = lost(site, name, in_trial=in_trial)
    history.look_back(site.pstore, "")
    (failure,) = history.memory.failures
    assert reason in failure.reason and failure.verdict == Verdict.INDETERMINATE and history.memory.cuts == {}


def test_a_reset_that_only_the_device_admits_was_of_the_entry_that_was_tried_last(site: Site) -> None:
    """Of two that wait it is the newer one, as the boot loader takes that first."""
    site.entry("toweros-8+0-3.efi", 8)
    site.entry("toweros-9+0-3.efi", 9)
    site.say_in_trial(9)
    history = site.history(RUNS, staged(8), staged(9))
    history.memory.resets = [Reset(0, NOW, UNKNOWN, seen="this boot")]
    history.look_back(site.pstore, "")
    reasons = {each.sequence: each.reason for each in history.memory.failures}
    assert reasons[9] == f"the watchdog reset it: {UNKNOWN}" and "tries are used up" in reasons[8]


@pytest.mark.parametrize(
    "reset", [Reset(0, NOW, UNKNOWN, seen="a boot of before"), Reset(7, NOW, "x", seen="this boot")]
)
def test_a_reset_of_before_or_of_another_release_says_nothing_of_the_one_that_waits(site: Site, reset: Reset) -> None:
    history = lost(site)
    history.memory.resets = [reset]
    history.look_back(site.pstore, "")
    assert history.memory.failures == [] and history.memory.cuts == {staged(8).content: 1}


# --- how a boot ended ---


def test_a_reset_that_was_written_down_is_found_once_and_kept(site: Site) -> None:
    history = site.history()
    record = '{"format":1,"sequence":7,"boot_id":"the boot before","state":"idle","time":5,"doing":"it hung"}'
    history.near_reset.write_text(record)
    history.look_for_reset(site.sys)
    again = site.history()
    assert again.memory.resets == [Reset(7, 5, "idle: it hung", "the boot before", "this boot")]
    assert not history.near_reset.exists() and "it hung" in (site.disk.state / "boot-7.log").read_text()
    again.near_reset.write_text(record)  # as where it could not be removed
    again.look_for_reset(site.sys)
    assert len(again.memory.resets) == 1


def test_what_was_written_down_counts_and_the_device_does_not_tell_it_again(site: Site) -> None:
    site.reset_bit()
    history = site.history()
    history.near_reset.write_text("{")
    history.look_for_reset(site.sys)
    (reset,) = history.memory.resets
    assert reset.sequence == 0 and "near-reset.json" in reset.doing and abs(reset.time - time.time()) < 60


def test_the_device_tells_a_reset_once_in_each_boot(site: Site) -> None:
    site.reset_bit()
    for boot in ("one", "one", "two"):
        site.boot_id.write_text(f"{boot}\n")
        site.history().look_for_reset(site.sys)
    resets = site.history().memory.resets
    assert [(each.sequence, each.doing, each.seen) for each in resets] == [(0, UNKNOWN, "one"), (0, UNKNOWN, "two")]
    assert all(abs(each.time - time.time()) < 60 for each in resets)


def test_where_nobody_says_so_there_was_no_reset(site: Site) -> None:
    site.history().look_for_reset(site.sys)
    assert site.history().memory.resets == []


def test_an_agent_ends_its_boot_for_a_reason_that_it_can_write_down_and_later_each_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def give_up(before: int) -> float:
        asked.append(before)
        return time.monotonic() + (1000.0 if len(asked) == 1 else -1.0)

    monkeypatch.setattr(deadlines, "give_up", give_up)
    history = site.history()
    history.memory.resets = [Reset(7, NOW, f"{GAVE_UP}x"), Reset(7, NOW, UNKNOWN), Reset(6, NOW, f"{GAVE_UP}y")]
    assert not history.ends_itself("nothing answers"), "it is not time yet"
    assert not history.ends_itself("")
    assert history.ends_itself("nothing answers") and set(asked) == {2}
    last = site.history().memory.resets[-1]
    assert (last.sequence, last.doing, last.boot_id) == (7, f"{GAVE_UP}nothing answers", "this boot")
    assert abs(last.time - time.time()) < 60


def test_what_cannot_be_written_down_ends_no_boot(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "give_up", lambda before: 0.0)
    history = site.history()
    (site.disk.state / "memory.json").mkdir()
    assert not history.ends_itself("nothing answers") and history.memory.resets == []
    assert "not started again" in (site.disk.state / "boot-7.log").read_text()


# --- what is known and proven ---


def offer(sequence: int, **changes: object) -> Offer:
    known = staged(sequence)
    files = (Target(name, digest, 1) for name, digest in
             (("release", known.release), ("uki", known.uki), ("addon", known.addon)))  # fmt: skip
    return replace(Offer(sequence, known.content, "main@sha1:0", NOW, *files, NOW + 9), **changes)  # type: ignore[arg-type]


def test_the_first_release_of_a_disk_is_learned_from_its_offer(site: Site) -> None:
    history = site.history()
    history.learn(offer(7))
    assert history.memory.staged == {7: staged(7)}


@pytest.mark.parametrize(
    ("boot", "offered"),
    [
        (replace(RUNS, trial=True), offer(7)),
        (replace(RUNS, entry="toweros-6.efi"), offer(7)),
        (replace(RUNS, release="6" * 64), offer(7)),
        (RUNS, offer(7, uki=Target("uki", "a" * 64, 1))),
        (RUNS, offer(7, addon=Target("addon", "a" * 64, 1))),
        (RUNS, offer(8)),
    ],
    ids=["in-its-trial", "another-entry", "another-release", "another-uki", "another-addon", "newer"],
)
def test_nothing_else_is_learned_from_an_offer(site: Site, boot: Boot, offered: Offer) -> None:
    history = site.history(boot)
    history.learn(offered)
    assert history.memory.staged == {}


def test_what_was_staged_is_not_replaced_by_what_is_offered_now(site: Site) -> None:
    history = site.history(RUNS, staged(7, "as it was staged"))
    history.learn(offer(7))
    assert history.memory.staged == {7: staged(7, "as it was staged")}


@pytest.mark.parametrize(
    ("before", "commit", "server", "after"),
    [
        (0, NOW, 0, NOW),
        (NOW + 5, NOW, 0, NOW + 5),
        (NOW + 9, NOW, 0, NOW + 9),
        (NOW + 10, NOW, 0, NOW),
        (0, NOW + 99, 0, NOW + 9),
        (0, NOW, NOW + 99, NOW + 99),
    ],
    ids=["commit", "never-back", "at-its-end", "claim-of-before", "claim", "server"],
)
def test_time_is_proven_by_what_is_signed_to_hold_and_never_goes_back(
    site: Site, before: int, commit: int, server: int, after: int
) -> None:
    history = site.history()
    history.memory.time = before
    history.prove_time(offer(8, time=commit), server)
    assert history.memory.time == after


def test_a_memory_that_was_put_aside_is_told_for_an_hour(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site.history().problem == ""
    (site.disk.state / "memory.json").write_text("{")
    history, began = site.history(), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + TOLD - 60)
    assert "put aside" in history.problem
    monkeypatch.setattr(time, "monotonic", lambda: began + TOLD + 60)
    assert history.problem == ""

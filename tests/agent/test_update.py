"""Stories of a box and its server: an update that is kept, updates that are not, and what is refused on the way."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from uuid import UUID

import pytest
from toweros_agent.box import history, log, status
from toweros_agent.firmware.efivars import LOADER
from toweros_agent.health.checks import onboot_verdict
from toweros_agent.health.system import System
from toweros_agent.host.memory import Memory
from toweros_agent.host.watchdog import Watchdog
from toweros_agent.nouns import Verdict

from gitops.model import HealthCheck
from tests.kit.contracts import CONTRACTS
from tests.simulators.box import SIGNED, Box, Made, State, drive, make
from tests.simulators.update_server import Keys, UpdateServer, endless, flipped, garbage, truncated

HTTP = HealthCheck("hello", "http", "http://127.0.0.1:8080/", contains="ok")
SERVICE = HealthCheck("web", "service", "web")


def vector(kind: str, name: str) -> bytes:
    return (CONTRACTS / "release" / kind / f"{name}.json").read_bytes()


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    """Runs release 7, which the server offers as well."""
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(make(7))
    offer(server, make(7))
    return made


@pytest.fixture(autouse=True)
def _make_folder(tmp_path: Path) -> None:
    (tmp_path / "box").mkdir(exist_ok=True)


def offer(server: UpdateServer, made: Made) -> None:
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon)


def update(box: Box) -> None:
    """From the running release into the trial of the offered one."""
    agent = box.power_on()
    assert agent
    assert drive(agent, State.REBOOTING) == State.REBOOTING
    agent.step()
    assert box.rebooted


def refused(box: Box, server: UpdateServer) -> str:
    """Let the box look at its server once; it must stay as it was. The reason that it reports."""
    before = box.entries()
    agent = box.power_on()
    assert agent
    agent.step()
    for _ in range(3):
        agent.step()
        assert agent.state in (State.IDLE, State.FETCHING, State.STAGING)
    drive(agent, State.IDLE)
    assert box.entries() == before
    assert box.bootable() == [7]
    assert not box.rebooted
    report = box.report(server)
    assert report["sequence"] == 7
    return str(report["error"])


def test_a_box_in_sync_asks_a_server_of_before_one_conditional_question_more(box: Box, server: UpdateServer) -> None:
    agent = box.power_on()
    assert agent
    agent.step()
    agent.step()
    server.requests.clear()
    agent.step()
    own = ("GET", "/metadata/boxes/demo-1/timestamp.json", 404, 0)
    assert server.requests == [own, ("GET", "/metadata/timestamp.json", 304, 0)]
    assert box.report(server)["health"] == "Healthy"


def test_an_update_is_fetched_tried_and_kept(box: Box, server: UpdateServer) -> None:
    new = make(8, service=b"two", checks=(HTTP, SERVICE))
    offer(server, new)
    update(box)
    assert box.entries() == ["toweros-7.efi", "toweros-8+3.efi"]
    box.services.running = {"web": (42, "RUNNING")}
    agent = box.power_on()
    assert agent and agent.boot.sequence == 8
    drive(agent, State.IDLE)
    assert box.entries() == ["toweros-7.efi", "toweros-8.efi"]
    report = box.report(server)
    assert (report["sequence"], report["health"], report["rollback"]) == (8, "Healthy", 7)
    assert box.bootable() == [7, 8]


def test_only_what_is_missing_is_fetched(box: Box, server: UpdateServer) -> None:
    new = make(8, service=b"two")
    offer(server, new)
    update(box)
    (own,) = [root for root in new.blobs if root not in make(7).blobs]
    asked = [path for path in server.paths() if path.startswith(("/layers", "/targets", "/deltas"))]
    fetched = [path for path in asked if not path.endswith(".zlib")]  # this server has none
    assert len(fetched) == 3
    assert fetched[0].endswith("release.json")
    assert fetched[1] == f"/layers/{own}.zst"
    assert fetched[2].endswith("addon.efi")


def test_user_images_are_layers_like_all_others(box: Box, server: UpdateServer) -> None:
    """What the assembler makes of `compose:` is staged, proven, repaired by fallback and collected by the same code."""
    old, new = make(8, images=(b"documents 8", b"hlr one" * 999)), make(9, images=(b"documents 9", b"hlr two" * 999))
    for made in (old, new):
        offer(server, made)
        update(box)
        agent = box.power_on()
        assert agent
        drive(agent, State.IDLE)
        assert agent.boot.sequence == made.sequence
        assert set(made.blobs) <= {path.name for path in (box.disk / "layers").iterdir()}
    assert box.bootable() == [8, 9], "the images of the release to fall back to stay"
    fetched = [path for path in server.paths() if path.startswith("/layers/")]
    assert sorted(fetched) == sorted(f"/layers/{root}.zst" for root in {*old.blobs, *new.blobs} - {*make(7).blobs})
    (hlr,) = (root for root, data in new.blobs.items() if b"hlr two" in data)
    (box.disk / "layers" / hlr).write_bytes(b"damaged")
    agent = box.power_on()
    assert agent and agent.boot.sequence == 8, "a damaged user image is a damaged release"


def test_a_delta_is_taken_when_it_is_smaller(box: Box, server: UpdateServer, tmp_path: Path) -> None:
    old, new = make(7), make(8, service=b"one" * 40 + b"!")
    offer(server, new)
    (from_,) = set(old.blobs) - set(new.blobs)
    (to,) = set(new.blobs) - set(old.blobs)
    full = server.files[f"/layers/{to}.zst"]
    server.files[f"/layers/{to}.zst"] = full + bytes(5000)
    server.add_delta(tmp_path, old.blobs[from_], new.blobs[to], from_, to)
    update(box)
    assert f"/deltas/{from_}/{to}.zst" in server.paths()
    assert f"/layers/{to}.zst" not in server.paths()
    assert box.bootable() == [7, 8]


def test_a_broken_delta_costs_only_the_full_copy(box: Box, server: UpdateServer, tmp_path: Path) -> None:
    old, new = make(7), make(8, service=b"two")
    offer(server, new)
    (from_,) = set(old.blobs) - set(new.blobs)
    (to,) = set(new.blobs) - set(old.blobs)
    server.files[f"/deltas/{from_}/{to}.zst"] = b"no zstd"
    update(box)
    assert f"/layers/{to}.zst" in server.paths()
    assert box.bootable() == [7, 8]


def test_a_broken_download_goes_on_where_it_stopped(box: Box, server: UpdateServer) -> None:
    new = make(8, service=b"two", uki=SIGNED + bytes(100_000))
    offer(server, new)
    (path,) = [path for path in server.files if path.endswith("uki.efi") and len(server.files[path]) > 1000]

    def once(data: bytes) -> Iterator[bytes]:
        del server.faults[path]
        yield data[:60_000]

    server.faults[path] = once
    update(box)
    sent = [(status, length) for _, asked, status, length in server.requests if asked == path]
    assert sent == [(200, len(new.uki)), (206, len(new.uki) - 60_000)]
    assert box.bootable() == [7, 8]


def test_a_held_offer_is_not_taken_until_it_is_free(box: Box, server: UpdateServer) -> None:
    new = make(8, service=b"two")
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon, custom={"held": "ada: storm"})
    assert refused(box, server) == "release 8 is held: ada: storm"
    assert not [path for path in server.paths() if path.startswith(("/layers", "/targets"))]
    offer(server, new)
    update(box)
    assert box.bootable() == [7, 8]


@pytest.mark.parametrize("then", ["held", "replaced", "away"])
def test_what_is_held_or_replaced_while_it_is_fetched_is_not_staged(box: Box, server: UpdateServer, then: str) -> None:
    new = make(8, service=b"two")
    offer(server, new)
    agent = box.power_on()
    assert agent
    drive(agent, State.STAGING)
    if then == "held":
        server.publish(new.document, new.uki, new.addon, custom={"held": "ada: storm"})
    elif then == "replaced":
        offer(server, make(9, service=b"three"))
    else:
        server.files = {path: data for path, data in server.files.items() if not path.startswith("/metadata")}
    agent.step()
    if then == "away":
        assert agent.state == State.REBOOTING, "what is known holds while nobody can be asked"
        return
    assert agent.state == State.IDLE and box.bootable() == [7]
    drive(agent, State.IDLE, State.REBOOTING)
    if then == "held":
        assert agent.error == "release 8 is held: ada: storm"
    else:
        assert agent.state == State.REBOOTING and box.bootable() == [7, 9]


def test_a_failed_health_check_is_undone_and_not_tried_again(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"bad", checks=(HTTP,)))
    update(box)
    box.services.status = 500
    agent = box.power_on()
    assert agent and agent.boot.sequence == 8
    drive(agent, State.REBOOTING)
    assert "toweros-8+0-1.efi" in box.entries()
    back = box.power_on()
    assert back and back.boot.sequence == 7
    drive(back, State.IDLE)
    back.step()
    assert back.state == State.IDLE
    (failure,) = box.report(server)["failures"]
    assert (failure["sequence"], failure["verdict"]) == (8, "failed")
    assert failure["reason"] == "health check hello: status 500"
    assert "--begin_trial-->" in failure["log"]
    # The same content under a new commit is not tried either; other content is.
    offer(server, make(9, service=b"bad", checks=(HTTP,)))
    back.step()
    assert back.state == State.IDLE and "is held" in back.error
    offer(server, make(10, service=b"good", checks=(HTTP,)))
    drive(back, State.REBOOTING)


def test_a_service_that_keeps_restarting_is_a_failure(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"bad", checks=(SERVICE,)))
    update(box)
    agent = box.power_on()
    assert agent
    pid = 10
    while agent.state in (State.STARTING, State.PROBATION):
        pid += 1
        box.services.running = {"web": (pid, "RUNNING")}
        drive(agent, *State)
    assert agent.state == State.REBOOTING
    assert "health check web: restarted" in agent.history.memory.failures[-1].reason


@pytest.mark.parametrize(
    ("code", "verdict"),
    [("137 (it did not end within 120 s)", Verdict.INDETERMINATE), ("137 (out of memory)", Verdict.FAILED)],
)
def test_an_onboot_container_that_hung_proves_nothing_against_the_release(code: str, verdict: Verdict) -> None:
    """`dhcpcd -1` while there is no DHCP server."""
    assert onboot_verdict(f"onboot 000-dhcpcd: exit code {code}") == verdict


def test_a_failed_onboot_container_ends_the_trial_at_once(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"bad", probation=600))
    update(box)
    (box.run / "onboot").mkdir()
    (box.run / "onboot" / "003-mount").write_text("1\n")
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    assert agent.history.memory.failures[-1].reason == "onboot 003-mount: exit code 1"
    # On the blessed release the same is a degraded box, not a reboot.
    back = box.power_on()
    assert back and back.boot.sequence == 7
    drive(back, State.IDLE)
    assert back.state == State.IDLE
    assert box.report(server)["health"] == "Degraded"


def test_a_server_out_of_reach_is_tried_again_later_and_not_for_ever(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"two"))
    for attempt in range(1, 5):
        update(box)
        agent = box.power_on()
        assert agent and agent.boot.sequence == 8
        agent.trust.url = "http://127.0.0.1:9/metadata"
        drive(agent, State.REBOOTING)
        back = box.power_on()
        assert back and back.boot.sequence == 7
        drive(back, State.IDLE)
        back.step()
        assert back.state == State.IDLE
        assert [each.verdict for each in back.history.memory.failures] == [Verdict.INDETERMINATE] * attempt
        for index, failure in enumerate(back.history.memory.failures):
            back.history.memory.failures[index] = type(failure)(**{**vars(failure), "time": failure.time - 10_000})
        back.history.save()
    back.step()
    assert back.state == State.IDLE
    assert "held after 4 tries" in back.error


def test_a_refused_uki_is_left_without_hands(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"two", uki=b"MZ foreign key"))
    update(box)
    agent = box.power_on()
    assert agent and agent.boot.sequence == 7
    drive(agent, State.IDLE)
    agent.step()
    (failure,) = box.report(server)["failures"]
    assert (failure["verdict"], failure["reason"]) == ("indeterminate", "refused by the firmware")
    assert agent.state == State.IDLE


def test_a_uki_damaged_after_blessing_is_left_and_repaired(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"two", uki=SIGNED + b"kernel 2"))
    update(box)
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    (box.linux / "toweros-8.efi").write_bytes(b"X" + (box.linux / "toweros-8.efi").read_bytes()[1:])
    back = box.power_on()
    assert back and back.boot.sequence == 7
    drive(back, State.IDLE)
    (failure,) = back.history.memory.failures
    assert failure.verdict == Verdict.INDETERMINATE and "another than was signed for release 8" in failure.reason
    back.history.memory.failures = [type(failure)(**{**vars(failure), "time": failure.time - 100})]
    drive(back, State.REBOOTING)
    assert box.bootable() == [7, 8]


def test_a_release_that_hangs_is_left_after_its_tries(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"two"))
    update(box)
    box.hang = True
    (box.root / "pstore").mkdir()
    (box.root / "pstore" / "dmesg-efi-1").write_text("Kernel panic - not syncing\n")
    agent = box.power_on()
    assert agent and agent.boot.sequence == 7
    drive(agent, State.IDLE)
    (failure,) = agent.history.memory.failures
    assert failure.verdict == Verdict.INDETERMINATE and "tries are used up" in failure.reason
    assert "Kernel panic" in failure.log


def test_what_the_initrd_said_is_reported(box: Box, server: UpdateServer) -> None:
    new = make(8, service=b"two")
    offer(server, new)
    update(box)
    (own,) = set(new.blobs) - set(make(7).blobs)
    (box.disk / "layers" / own).unlink()
    agent = box.power_on()
    assert agent and agent.boot.sequence == 7
    drive(agent, State.IDLE)
    assert own in agent.history.memory.failures[-1].log


def test_the_third_try_can_be_blessed(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"two"))
    update(box)
    box.power_on()
    box.power_on()
    agent = box.power_on()
    assert agent and box.entries() == ["toweros-7.efi", "toweros-8+0-3.efi"]
    drive(agent, State.IDLE)
    assert box.entries() == ["toweros-7.efi", "toweros-8.efi"]


def test_an_agent_restarted_in_its_trial_goes_on_with_it(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"two"))
    update(box)
    first = box.power_on()
    assert first
    drive(first, State.PROBATION)
    second = box.agent()
    assert second.condition.began() == first.condition.began()
    drive(second, State.IDLE)
    third = box.agent()
    assert not third.trial
    drive(third, State.IDLE)


def test_an_agent_restarted_after_its_verdict_does_not_bless(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"bad", checks=(HTTP,)))
    update(box)
    box.services.status = 500
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    box.services.status = 200
    again = box.agent()
    drive(again, State.REBOOTING)
    assert "toweros-8+0-1.efi" in box.entries()


# --- what is refused, named in the report, and leaves the box as it was ---


def test_metadata_from_another_root(box: Box, server: UpdateServer) -> None:
    server.keys = Keys()
    offer(server, make(8, service=b"two"))
    assert "metadata: UnsignedMetadataError" in refused(box, server)


def test_older_metadata(box: Box, server: UpdateServer) -> None:
    old = server.files["/metadata/timestamp.json"]
    offer(server, make(7))
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    server.files["/metadata/timestamp.json"] = old
    assert "BadVersionNumberError" in refused(box, server)


def test_expired_metadata(box: Box, server: UpdateServer) -> None:
    made = make(8, service=b"two")
    server.publish(made.document, made.uki, made.addon, days=-1)
    assert "expired" in refused(box, server).lower()


def test_an_older_release(box: Box, server: UpdateServer) -> None:
    offer(server, make(6, service=b"old"))
    assert refused(box, server) == "release 6 is not newer than the running 7"


def test_a_release_for_another_box(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"two", box="demo-2"))
    assert refused(box, server) == "release.json is for demo-2, not for demo-1"


def test_a_release_that_is_not_what_its_metadata_says(box: Box, server: UpdateServer) -> None:
    made = make(8, service=b"two")
    server.publish(made.document, made.uki, made.addon, custom={"sequence": 9})
    assert "another sequence" in refused(box, server)


@pytest.mark.parametrize(
    "document", [b"\x00garbage", b"[" * 100_000, vector("damaged", "no-health"), vector("ahead", "format-2")]
)
def test_a_release_that_is_garbage(box: Box, server: UpdateServer, document: bytes) -> None:
    server.publish(document, make(8).uki, make(8).addon, custom={"sequence": 8, "content": "0" * 64})
    assert "release" in refused(box, server)


@pytest.mark.parametrize("custom", [{"sequence": "x"}, {"content": "zz"}, {"format": 7}, {"time": None}])
def test_metadata_with_odd_custom_fields(box: Box, server: UpdateServer, custom: dict[str, object]) -> None:
    made = make(8, service=b"two")
    server.publish(made.document, made.uki, made.addon, custom=custom)
    assert "metadata" in refused(box, server)


@pytest.mark.parametrize("fault", [truncated, flipped, endless, garbage])
@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "bin-", "release.json", "uki.efi", "addon.efi"])
def test_a_target_or_metadata_that_is_damaged_on_the_way(
    box: Box, server: UpdateServer, name: str, fault: object
) -> None:
    offer(server, make(8, service=b"two", uki=SIGNED + bytes(50_000)))
    for path in server.files:
        if name in path:
            server.faults[path] = fault  # type: ignore[assignment]
    assert refused(box, server)


@pytest.mark.parametrize("fault", [truncated, flipped, endless, garbage])
def test_a_layer_that_is_damaged_on_the_way(box: Box, server: UpdateServer, fault: object) -> None:
    new = make(8, service=b"two")
    offer(server, new)
    (own,) = set(new.blobs) - set(make(7).blobs)
    for path in server.files:
        if own in path:
            server.faults[path] = fault  # type: ignore[assignment]
    assert f"layer {own[:12]} cannot be fetched" in refused(box, server)
    # When the server is whole again, so is the update.
    server.faults.clear()
    agent = box.agent()
    drive(agent, State.REBOOTING)
    assert box.bootable() == [7, 8]


def test_a_memory_that_is_garbage_costs_nothing_but_itself(box: Box, server: UpdateServer) -> None:
    (box.disk / "state" / "memory.json").write_bytes(b"\x00" * 100)
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    assert "put aside" in str(box.report(server)["degraded"])
    assert (box.disk / "state" / "memory.bad").exists()
    offer(server, make(8, service=b"two"))
    drive(agent, State.REBOOTING)


def test_a_full_disk_is_a_clear_error(box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(server, make(8, service=b"two"))
    monkeypatch.setattr("toweros_agent.host.disk.HEADROOM", 1 << 60)
    assert "no space on TOWEROS" in refused(box, server)


def test_a_report_waits_for_its_server(box: Box, server: UpdateServer) -> None:
    server.post_status = 503
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    assert not server.reports
    server.post_status = 204
    agent.step()
    assert box.report(server)["phase"] == "idle"
    sent = len(server.reports)
    agent.step()
    agent.step()
    assert len(server.reports) == sent
    counters = [json.loads(str(each["report"]))["counter"] for each in server.reports]
    assert counters == sorted(set(counters))


# --- the surroundings of a box ---


def test_a_disk_that_a_medium_or_the_network_made_in_this_boot_has_its_way_back_at_once(
    box: Box, server: UpdateServer
) -> None:
    """The firmware started something else, and says nothing of the disk; the initrd says which ESP it made."""
    (box.root / "efivars" / f"LoaderDevicePartUUID-{LOADER}").unlink()
    esp = UUID("11223344-5566-7788-99aa-bbccddeeff00")
    (box.run / "esp.partition").write_text(f"{esp.bytes_le.hex()}\n")
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    assert not box.report(server)["degraded"]
    kept = [path.read_bytes() for path in (box.root / "efivars").glob("Boot0*")]
    assert len(kept) == 2 and all(esp.bytes_le in each for each in kept), "systemd-boot, and the last good UKI"


def test_a_box_without_boot_variables_is_degraded_and_updates(box: Box, server: UpdateServer) -> None:
    shutil.rmtree(box.root / "efivars")
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    assert "no fallback in the firmware" in str(box.report(server)["degraded"])
    offer(server, make(8, service=b"two"))
    drive(agent, State.REBOOTING)


def test_the_fallback_follows_the_last_good_uki(box: Box, server: UpdateServer) -> None:
    for sequence, back in ((8, 7), (9, 8)):
        offer(server, make(sequence, service=bytes([sequence]) * 3))
        update(box)
        agent = box.power_on()
        assert agent and agent.boot.sequence == sequence
        drive(agent, State.IDLE)
        assert box._fallback() == rf"\EFI\Linux\toweros-{back}.efi"
    assert box.entries() == ["toweros-8.efi", "toweros-9.efi"]
    assert box.bootable() == [8, 9]


def test_layers_that_nothing_needs_go(box: Box, server: UpdateServer) -> None:
    for sequence in (8, 9):
        offer(server, make(sequence, service=bytes([sequence]) * 3))
        update(box)
        agent = box.power_on()
        assert agent
        drive(agent, State.IDLE)
    needed = {root for sequence in (8, 9) for root in make(sequence, service=bytes([sequence]) * 3).blobs}
    assert {path.name for path in (box.disk / "layers").iterdir()} == needed
    assert len(list((box.disk / "releases").iterdir())) == 2


def test_a_disk_that_lies_gets_no_entry(box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(server, make(8, service=b"two", uki=SIGNED + b"kernel 2"))
    copy = shutil.copyfile

    def lossy(source: Path, to: Path) -> None:
        copy(source, to)
        if Path(to).name.endswith(".new"):
            Path(to).write_bytes(Path(to).read_bytes()[:-1] + b"?")

    monkeypatch.setattr("toweros_agent.host.esp.shutil.copyfile", lossy)
    assert "does not give back" in refused(box, server)


def test_an_input_error_is_an_answer_and_no_end(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(server, make(8, service=b"two"))

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("toweros_agent.offer.fetch.seal", broken)
    assert "Input/output error" in refused(box, server)


def test_the_watchdog_is_fed_by_progress_and_not_beyond_a_trial(tmp_path: Path) -> None:
    device = tmp_path / "watchdog"
    device.touch()
    dog = Watchdog(device, time.monotonic() + 0.3)
    dog.feed()
    dog.feed()
    assert device.read_bytes() == bytes(1)
    time.sleep(0.35)
    dog.fed = -1e9
    dog.feed()
    assert device.read_bytes() == bytes(1)
    assert not Watchdog(device, time.monotonic() - 1).armed


@pytest.mark.parametrize("date", [2_208_988_800, 2**62])
def test_a_commits_date_moves_no_clock_past_what_is_signed_to_hold(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch, date: int
) -> None:
    made = make(7)
    server.publish(made.document, made.uki, made.addon, custom={"time": date})
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    assert agent.history.memory.time < time.time() + 2 * 86400
    agent.history.memory.time = date  # as an agent of before remembered it
    agent.history.save()
    monkeypatch.setattr("toweros_agent.upkeep.disk.time.clock_settime", refuses_to_overflow)
    offer(server, make(8, service=b"two"))
    update(box)
    assert box.bootable() == [7, 8]


def refuses_to_overflow(_clock: int, moment: int) -> None:
    if moment > 2**40:
        raise OverflowError("timestamp out of range")


def test_half_downloads_and_whole_layers_survive_a_power_cut(box: Box, server: UpdateServer) -> None:
    offer(server, make(8, service=b"two"))
    half, whole = (box.disk / "layers" / name for name in ("ab" * 32 + ".full.part", "cd" * 32))
    for path in (half, whole):
        path.write_bytes(bytes(5000))
    agent = box.power_on()
    assert agent
    agent.step()
    assert agent.state == State.IDLE and half.exists() and whole.exists()
    drive(agent, State.REBOOTING)
    assert not half.exists() and not whole.exists(), "they belonged to no layer of what is asked for now"


def test_a_release_that_cannot_verify_what_is_offered_is_not_kept(box: Box, server: UpdateServer) -> None:
    """With a foreign root in it, it could never be replaced: the box would be lost."""
    offer(server, make(8, service=b"two"))
    update(box)
    (box.places.etc / "root.json").write_bytes(server.make_root(Keys()))
    agent = box.power_on()
    assert agent and agent.boot.sequence == 8
    drive(agent, State.REBOOTING)
    (failure,) = agent.history.memory.failures
    assert (failure.verdict, failure.sequence) == (Verdict.INDETERMINATE, 8)
    assert "out of reach" in failure.reason


def test_housekeeping_that_fails_is_told_and_keeps_nobody_from_asking(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error", "toweros-5.efi.extra.d")

    monkeypatch.setattr("toweros_agent.host.esp.Esp.clean", broken)
    offer(server, make(8, service=b"two"))
    agent = box.power_on()
    assert agent
    drive(agent, State.FETCHING)
    assert any("cannot clean up" in problem for problem in box.report(server)["degraded"])  # type: ignore[attr-defined]
    drive(agent, State.REBOOTING)
    assert box.bootable() == [7, 8]


def test_a_clock_behind_what_was_proven_is_set_forward(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (box.disk / "state" / "memory.json").write_bytes(Memory(time=4_000_000_000).encode())
    moments: list[float] = []
    monkeypatch.setattr("toweros_agent.upkeep.disk.time.clock_settime", lambda _, moment: moments.append(moment))
    agent = box.power_on()
    assert agent
    agent.step()
    assert moments == [4_000_000_000]


def test_the_operators_command_says_what_runs(box: Box, server: UpdateServer) -> None:
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    assert "release   7" in status(box.places)
    assert "--settle-->" in log(box.places)
    assert history(box.places) == "No release failed on this box.\n"


def test_an_idle_agent_is_small(box: Box, server: UpdateServer, tmp_path: Path) -> None:
    box.power_on()
    program = (
        "import sys, json; from pathlib import Path; from toweros_agent.loop import Agent; "
        "from tests.simulators.services import Services; "
        "from toweros_agent.settings import Places; places = Places(*map(Path, sys.argv[1:])); "
        "agent = Agent(places, Services(), lambda: None); [agent.step() for _ in range(6)]; "
        "assert agent.state == 'idle' and not agent.error, agent.error; "
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmRSS')).split()[1])"
    )
    paths = [str(getattr(box.places, each.name)) for each in fields(box.places)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["pkg/agent", "."])}
    command = [sys.executable, "-c", program, *paths]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64 << 10, f"{done.stdout} KiB"


def test_tasks_are_read_as_containerd_prints_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ctr = tmp_path / "ctr"
    ctr.write_text(
        "#!/bin/sh\nprintf 'TASK    PID     STATUS    \\nweb     514     RUNNING\\nntp     0       STOPPED\\n'\n"
    )
    ctr.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert System().tasks() == {"web": (514, "RUNNING"), "ntp": (0, "STOPPED")}
    ctr.write_text("#!/bin/sh\nexit 1\n")
    assert System().tasks() == {}

"""A real box: it boots verified, takes what a commit says, undoes what is bad, and refuses what is not ours.

One machine tells the whole story, in the order of the tests. `test_faults.py` breaks what it was booted from.
"""

import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from gitops.lab.machine import Machine
from gitops.model import BlobRef, Phase, Publication, Target, Verdict
from gitops.model.paths.repositories import box_repository
from gitops.process import run
from gitops.publish.folder import Folder
from gitops.rollout import holds
from gitops.server import create_app
from gitops.sign import Signer, keys
from gitops.source.trust.signatures import Trust
from gitops.workflows.verify import Believed, Verification
from tests.e2e.field import BOX, GREETING, LONG, SIZES, STATIC, Field
from tests.e2e.patching import CVE, LOCK, Patching
from tests.e2e.turns import ALWAYS, BESIDE, FAR, cell
from tests.kit.built import CHECKOUT
from tests.kit.cuts.campaign import Campaign, Extent
from tests.kit.cuts.updates import recorded, recording
from tests.kit.debian import Debian

pytestmark = [pytest.mark.e2e, pytest.mark.boot]

OWN = box_repository(BOX)
SERVICES = ("agent", "dhcpcd", "hello", "ntpd", "sshd")


@pytest.fixture(scope="module")
def patching(field: Field) -> Iterator[Patching]:
    folder = field.folder / "mirror"  # not pytest's: apt drops its rights, and cannot read a key in there
    shutil.rmtree(folder, ignore_errors=True)
    with Debian(folder) as debian, pytest.MonkeyPatch.context() as patch:
        for module in ("apt", "places"):
            patch.setattr(f"gitops.builders.{module}.mirrors", debian.mirrors)
        made = Patching(field, debian, folder)
        for name in ("greeting", "banner"):
            made.update(name, "1.0", **{name: "1.0"})
        made.begin()
        field.apply()
        yield made
        field.pull()


@pytest.fixture(scope="module")
def first(field: Field, patching: Patching) -> Publication:
    """What is on the box's disk before its first boot."""
    published = field.store.offers.published(BOX)
    assert published
    return published


@pytest.fixture(scope="module")
def machine(field: Field, first: Publication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Every write of its disk is recorded, for the power cuts."""
    made = recorded(field.new_disk(tmp_path_factory.mktemp("machine")))
    made.serial.unlink(missing_ok=True)
    with made:
        yield made


@pytest.fixture(scope="module")
def first_timestamp(field: Field, machine: Machine) -> bytes:
    """What the server signed before the box saw anything newer."""
    return (field.store.paths.metadata / OWN / "timestamp.json").read_bytes()


@pytest.mark.usefixtures("first_timestamp")
def test_the_first_boot_is_healthy_and_every_service_runs(field: Field, machine: Machine) -> None:
    report = field.wait_healthy(field.state().enrolled)
    assert report.entry == f"toweros-{report.sequence}.efi"
    tasks = field.ssh("ctr -n services.linuxkit t ls")
    for name in SERVICES:
        assert [line.split()[2] for line in tasks.splitlines() if line.split()[0] == name] == ["RUNNING"], tasks


def test_what_it_runs_is_proven_offline_from_the_signed_commit_to_the_last_layer(
    field: Field, machine: Machine
) -> None:
    believed = Believed.of_folder(field.settings.keys, Trust.of_files(field.settings.allowed_signers))
    findings = Verification(field.store.paths.root, believed).of(field.report().release)
    assert all(each.ok for each in findings), findings
    commit = run(["git", "-C", field.fleet, "rev-parse", "HEAD"]).decode().strip()
    assert f"commit {commit} is signed by operator@demo" in [each.says for each in findings]
    published = field.store.offers.published(BOX)
    assert published and [each.what for each in findings].count("layer") == len(published.release.layers())


def test_the_root_is_read_only_and_the_host_keys_are_kept_on_the_disk(field: Field, machine: Machine) -> None:
    assert "Read-only" in field.ssh("touch /containers/x 2>&1 || true")
    assert "ssh_host_ed25519_key" in field.ssh("ls /state/ssh")


def test_a_box_with_a_static_address_asks_nobody_for_another(field: Field, machine: Machine) -> None:
    said = field.ssh("ip addr show dev eth0; cat /run/resolvconf/resolv.conf")
    assert "inet 10.0.2.15/25" in said and "nameserver 10.0.2.3" in said, said


def test_a_killed_service_comes_back(field: Field, machine: Machine) -> None:
    def pid() -> str:
        rows = [line.split() for line in field.try_ssh("ctr -n services.linuxkit t ls").splitlines()]
        return next((row[1] for row in rows if row[0] == "hello" and row[2] == "RUNNING"), "")

    seen: list[str] = []

    def runs() -> str:
        seen.append(pid())
        return seen[-1]

    field.wait_until("hello", runs)
    before = seen[-1]
    field.ssh(f"kill -9 {before}")
    field.wait_until("another process of hello", lambda: pid() not in ("", before))


def through(field: Field, *words: str) -> str:
    """What `toweros box ...` prints, as whoever has the keys types it."""
    program = "from gitops.cli.main import main; main()"  # of this checkout
    command = [sys.executable, "-c", program, "box", *words[:2], "--config", str(field.config), *words[2:]]
    return run(command, cwd=CHECKOUT, timeout=LONG).decode()


def test_people_come_in_through_the_server_and_the_box_says_so_itself(field: Field, machine: Machine) -> None:
    assert field.passes.run_once().plan.empty, "from here on the host key has a certificate"
    field.wait_until("sshd to show it", lambda: "cert" in field.try_ssh("cat /run/sshd/certificate.conf"))
    why = ("--reason", "what does it say", "--who", "ada")
    assert "idle" in through(field, "logs", BOX, "agent", "-n", "50", *why)
    said = through(field, "shell", BOX, *why, "--", "hostname; cat /proc/$PPID/cmdline")
    assert said.startswith(BOX) and "sshd" in said

    def over(said: Mapping[str, object]) -> bool:  # that of the logs is over before
        return (said.get("kind"), said.get("state")) == ("shell", "ended")

    field.wait_until("the box to say that it is over", lambda: over(field.report().remote or {}))
    assert (field.report().remote or {})["by"] == "ada: what does it say"
    told = [event.message for event in field.store.events.latest(BOX, 30) if event.reason == "Remote"]
    assert any(each.startswith("ada asks for shell: ") for each in told) and any("begins" in each for each in told)


def test_a_readme_commit_changes_no_box(field: Field, machine: Machine) -> None:
    before = field.store.offers.published(BOX)
    done = field.change("README.md", f"# A fleet, {time.time()}\n", "Words")
    assert done.plan.empty and not done.published
    assert field.store.offers.published(BOX) == before


def test_a_pass_without_news_starts_no_process_and_opens_no_layer(
    field: Field, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen", refuse)
    layers = {path: path.stat().st_atime_ns for path in (field.store.paths.root / "layers").glob("*")}
    assert field.passes.run_once().plan.empty
    assert layers == {path: path.stat().st_atime_ns for path in (field.store.paths.root / "layers").glob("*")}


def test_an_offer_that_an_operator_holds_is_not_taken(field: Field, machine: Machine) -> None:
    before = field.report()
    with field.away():
        assert field.change(GREETING, f"hello, held, {time.time()}\n", "To be held").published == (BOX,)
        holds.hold(field.store, BOX, "ada", "storm", int(time.time()))
        assert field.apply().held[BOX].detail.startswith("ada: storm")
    field.wait_until("the box to say who holds it", lambda: "is held: ada: storm" in field.report().error)
    assert field.report().boot_id == before.boot_id and field.report().phase == Phase.IDLE
    run(["git", "-C", field.fleet, "revert", "--no-edit", "HEAD"])
    assert holds.let_go(field.store, BOX, "ada")
    assert field.apply().published == (BOX,)
    field.wait_until("the box to be content", lambda: not field.report().error)
    assert field.report().boot_id == before.boot_id


def test_one_line_of_one_service_is_one_package_one_layer_and_nothing_else_on_the_wire(
    field: Field, machine: Machine
) -> None:
    before = field.report()
    since = int(time.time())
    done = field.change(GREETING, f"hello, {time.time()}\n", "One line")
    assert [step.subject for step in done.plan.builds] == ["pkg/hello"]
    assert done.layers == 1 and done.published == (BOX,)
    report = field.wait_healthy(since)
    assert report.boot_id != before.boot_id and report.sequence > before.sequence
    old, new = (field.store.release(release) for release in (before.release, report.release))
    added = {layer.root for layer in new.layers()} - {layer.root for layer in old.layers()}
    assert set(report.fetched["layers"]) == added and len(added) == 1
    assert report.fetched["bytes"] < 256 * 1024, report.fetched
    assert report.entry == f"toweros-{report.sequence}.efi", "blessed: the counter is gone"


def test_power_lost_at_any_write_of_that_update_leaves_a_box_that_starts(
    field: Field, machine: Machine, first: Publication, tmp_path: Path
) -> None:
    """A part of the states of bench/power_cuts.py, which has all of them."""
    taken = field.store.offers.published(BOX)
    assert taken and taken.release.sequence == field.report().sequence
    made = recording(machine.folder, SIZES, field.store, [first, taken])
    figures = Campaign(made, tmp_path).run(Extent(shuffled=12, torn=1, stride=60))
    assert figures.lost == figures.gone == figures.left == [], figures
    assert figures.states > 100 and figures.runs.keys() == {first.release.sequence, taken.release.sequence}, figures


# --- its turn ---------------------------------------------------------------------------------------------------------


def test_it_is_there_while_the_window_is_closed_waits_for_its_neighbour_and_a_call_and_goes_in_its_turn(
    field: Field, machine: Machine
) -> None:
    before = field.report()
    with cell(field) as fleet:
        assert set(field.change(GREETING, f"hello, in turn, {time.time()}\n", "For all").published) == {BESIDE, FAR}
        assert fleet.why().startswith("waits until ") and fleet.coming() == {BOX}
        field.wait_until("the release to be there", lambda: fleet.turn().state == "staged")
        waits = field.store.offers.candidates([BOX])[0]
        (new,) = {each.root for each in waits.release.layers()} & {
            *field.ssh("ls /run/toweros/disk/layers").split()
        } - {each.root for each in field.store.release(before.release).layers()}
        assert f"toweros-{waits.release.sequence}" not in field.ssh("ls /run/toweros/esp/EFI/Linux")
        field.ssh("nsenter -t 1 -m -- sh -c 'echo a call > /run/toweros/hold'")

        opened = f'{STATIC}site: north\nlabels: {{cell: "7"}}\nwindows: ["{ALWAYS}"]\n'
        assert BOX not in fleet.commit("Its window opens", demo_1=opened).published
        assert fleet.why() == "waits for its neighbour beside of cell 7" and fleet.leases().keys() == {BESIDE, FAR}
        fleet.report(BESIDE, spent=1)
        assert field.passes.run_once().published == (BOX,)
        assert BOX in fleet.leases() and BESIDE not in fleet.leases()
        field.wait_until("the box to be held off", lambda: fleet.turn().state == "held")
        assert fleet.turn().why == "held off: a call" and field.report().boot_id == before.boot_id

        since, lease = int(time.time()), fleet.leases()[BOX]
        field.ssh("nsenter -t 1 -m -- rm /run/toweros/hold")
        report = field.wait_healthy(since)
        assert report.boot_id != before.boot_id and report.fetched["layers"] == [new]
        assert fleet.turn().spent == lease.number and field.passes.run_once().held.keys() <= {FAR}
        assert BOX not in fleet.leases()
    assert field.report().content == field.state().published.content


# --- what is not ours -------------------------------------------------------------------------------------------------


def names_the_error(field: Field, *words: str) -> bool:
    error = field.report().error.lower()
    return any(word in error for word in words)


@pytest.fixture
def metadata(field: Field) -> Iterator[Path]:
    """The published metadata; whatever a test does to it is undone."""
    folder = field.store.paths.metadata
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    yield folder
    shutil.rmtree(folder)
    kept.rename(folder)
    field.wait_until("the box to be content again", lambda: not field.report().error, LONG)


def test_metadata_of_another_root_is_refused(field: Field, machine: Machine, metadata: Path, tmp_path: Path) -> None:
    keys.init(tmp_path / "foreign", b"foreign", root_keys=1, threshold=1)
    foreign, targets = Signer.open(tmp_path / "foreign"), {f"{BOX}/release.json": Target(BlobRef("ab" * 32, 1), {})}
    before = field.report()
    for bunch in foreign.small(Folder(tmp_path / "nothing"), targets, int(time.time())):
        for name, data in (*bunch.files, *bunch.stamps):
            (metadata / name).write_bytes(data)
    field.wait_until("the refusal", lambda: names_the_error(field, "signature", "signed", "threshold"))
    assert field.report().release == before.release and field.report().boot_id == before.boot_id


def test_older_metadata_is_refused(field: Field, machine: Machine, metadata: Path, first_timestamp: bytes) -> None:
    before = field.report()
    (metadata / OWN / "timestamp.json").write_bytes(first_timestamp)
    field.wait_until("the refusal", lambda: names_the_error(field, "older", "version", "rollback"))
    assert field.report().release == before.release and field.report().boot_id == before.boot_id


# --- security updates: nobody commits anything ------------------------------------------------------------------------


FIXED = 'toweros_time_to_fix_seconds_{}{{severity="high"}}'


def page(field: Field, path: str) -> str:
    """What the box's service says, once it is up."""
    with urllib.request.urlopen(f"http://127.0.0.1:{field.port('hello')}/{path}", timeout=60) as answer:
        said: bytes = answer.read()
    return said.decode()


def metric(field: Field, name: str) -> float:
    """What /metrics says; 0: nothing of it yet."""
    for line in TestClient(create_app(field.store, field.settings)).get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def test_a_fix_at_the_mirror_becomes_a_commit_a_release_and_a_number(
    field: Field, machine: Machine, patching: Patching
) -> None:
    patching.look()
    assert metric(field, 'toweros_open_advisories{role="vm",severity="high"}') == 1
    patching.update("greeting", "2.0", greeting="2.0")
    before, images, since = field.report(), field.store.builds.image_keys(), int(time.time())
    fixed, seconds = (metric(field, FIXED.format(each)) for each in ("count", "sum"))
    done = patching.day()
    assert patching.head() == "locks: greeting 1.0 -> 2.0 (1 advisory, high)" and CVE in patching.head("%b")
    assert patching.changed() == [LOCK] and patching.locked()["banner"] == "1.0"
    (built,) = field.store.builds.image_keys() - images
    image = field.store.builds.image(built)
    assert image and image.reference.startswith("toweros/hello:"), "exactly what depends on it"
    assert done.published == (BOX,) and done.plan.builds == (), "it was built before it was pushed"
    report = field.wait_healthy(since)
    assert len(report.fetched["layers"]) == 1
    assert report.boot_id != before.boot_id and page(field, "greeting.html") == "2.0"
    patching.look()
    assert metric(field, 'toweros_open_advisories{role="vm",severity="high"}') == 0
    assert metric(field, FIXED.format("count")) == fixed + 1
    assert 0 < metric(field, FIXED.format("sum")) - seconds < 3600
    assert metric(field, "toweros_security_proposals") == 0, "it is done"


def spoilt_by_a_flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def replace(whole: Mapping[Path, bytes], spoil: Callable[[bytes], bytes]) -> None:
    """What the server has of a layer, spoilt; the controller keeps files read-only and may have linked them."""
    for path, data in whole.items():
        path.unlink(missing_ok=True)
        path.write_bytes(spoil(data))


@pytest.fixture(scope="module")
def whole() -> dict[Path, bytes]:
    """What the server should have of the layer that arrives damaged."""
    return {}


def test_a_layer_that_is_flipped_or_truncated_is_refused(
    field: Field, machine: Machine, patching: Patching, whole: dict[Path, bytes]
) -> None:
    before, layers = field.report(), field.store.layers
    old = {layer.root for layer in field.store.release(before.release).layers()}
    patching.update("greeting", "3.0", greeting="3.0", index="out of order")
    with field.away():
        assert patching.day().published == (BOX,)
        found = field.store.offers.published(BOX)
        assert found
        (root,) = {layer.root for layer in found.release.layers()} - old
        files = [layers.path(root), layers.zst(root), *(path for path in layers.deltas() if path.stem == root)]
        whole |= {path: path.read_bytes() for path in files}
        replace(whole, spoilt_by_a_flip)
    field.wait_until("the refusal", lambda: names_the_error(field, root[:12]))
    first = field.report().error
    with field.away():
        replace(whole, truncated)
    field.wait_until("another refusal", lambda: names_the_error(field, root[:12]) and field.report().error != first)
    assert field.report().release == before.release and field.report().boot_id == before.boot_id


def test_whole_again_it_is_taken_and_undone_by_the_box_alone_as_its_health_check_fails(
    field: Field, machine: Machine, whole: dict[Path, bytes]
) -> None:
    before, wanted = field.report(), field.store.offers.published(BOX)
    assert wanted and wanted.document.sha256 != before.release
    with field.away():
        replace(whole, bytes)

    def failed() -> bool:
        verdicts = {failure.release: failure for failure in field.report().failures}
        failure = verdicts.get(wanted.document.sha256)
        return bool(failure and failure.verdict == Verdict.FAILED and "hello" in failure.reason)

    field.wait_until("the verdict", failed)
    field.wait_until("the box to go back", lambda: failed() and field.report().phase == Phase.IDLE)
    report = field.report()
    assert report.release == before.release
    (failure,) = [failure for failure in report.failures if failure.release == wanted.document.sha256]
    assert failure.log, "the last lines of the failed boot are kept"
    boot = field.report().boot_id
    time.sleep(15)
    assert field.report().boot_id == boot, "not tried again until Git says something new"


def test_an_update_that_broke_its_service_is_taken_back_for_nothing_and_the_next_one_of_another_package_goes_out(
    field: Field, machine: Machine, patching: Patching
) -> None:
    before = field.report()
    patching.look()
    assert patching.head() == "locks: take back greeting 2.0 -> 3.0" and patching.locked()["greeting"] == "2.0"
    assert "hello" in patching.head("%b"), "the box's own reason"
    assert metric(field, "toweros_security_held") == 1
    field.apply()
    publication = field.store.offers.published(BOX)
    assert publication and publication.release.content.digest == before.content
    field.wait_healthy(0)
    assert field.report().boot_id == before.boot_id, "a revert is nothing to do"
    patching.update("banner", "2.0", banner="2.0")
    since = int(time.time())
    assert patching.day().published == (BOX,)
    assert patching.head() == "locks: banner 1.0 -> 2.0"
    assert patching.locked() == {"banner": "2.0", "greeting": "2.0"}, "what is held stays away"
    assert field.wait_healthy(since).release != before.release
    assert (page(field, "banner.html"), page(field, "greeting.html")) == ("2.0", "2.0")


# --- one bad service --------------------------------------------------------------------------------------------------

INSIDE = "ctr -n services.linuxkit t exec --detach --exec-id {} hello sh -c '{}'"
"""A command in the cgroup of a service that is not of the core."""


def test_greedy_services_and_a_killed_containerd_do_not_cost_the_box(field: Field, machine: Machine) -> None:
    def says(words: str) -> bool:
        return any(words in each for each in field.report().degraded)

    boot = field.report().boot_id
    limits = field.ssh("cd /sys/fs/cgroup/services; cat hello/pids.max hello/memory.max memory.max pids.max")
    pids, memory, all_memory, all_pids = map(int, limits.split())
    assert pids == 1024 < all_pids and 0 < memory < all_memory < 1 << 30
    field.ssh(INSIDE.format("hog", "yes | sort"))
    field.wait_until("the hog's name", lambda: says("service hello: oom killed"))
    field.wait_until(
        "another hello", lambda: "ok" in field.try_ssh(INSIDE.format("bomb", "b() { b | b & }; b") + " && echo ok")
    )
    field.wait_until("the bomb's name", lambda: says("service hello: pids limit reached (1024)"))
    words = "cat /run/containerd/pid; kill -9 $(cat /run/containerd/pid)"
    containerd = field.ssh(words, login=True).strip()
    field.wait_until(
        "another containerd", lambda: field.try_ssh("cat /run/containerd/pid").strip() not in ("", containerd)
    )
    assert field.report().boot_id == boot, "nothing of it took a restart"
    field.leave(machine)

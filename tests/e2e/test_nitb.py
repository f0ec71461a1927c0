"""The network in the box: what the README of 2018 shows, word for word, on a real box with Docker and Osmocom.

The role is `box`, the machine unlike any made for guests: AHCI, e1000e, the chipset's watchdog, Debian's whole kernel.
One machine tells the story, in the order of the tests: the first boot, the sanity checks of the old README, a commit
that changes a user container's configuration, and one that breaks it. User data stays where it is all the time, also
when the disk hangs on USB with the next start, and on NVMe with the one after that.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.assemble.boot.microcode import early
from gitops.assemble.formats.disk import Sizes
from gitops.assemble.tars import files_of
from gitops.fleet.apps.beside import HOLDS
from gitops.lab.hardware import NVME, PLAIN, STICK
from gitops.lab.machine import Machine
from gitops.model import Health, Phase, Verdict
from tests.e2e.field import BOX, Field
from tests.kit import built
from tests.kit.authority import Authority
from tests.kit.machines import CARDS, DISKS, LATER, WATCHDOGS, drivers, plain

pytestmark = [pytest.mark.e2e, pytest.mark.boot]

LONG = 1200.0
"""Seconds: Docker and seven programs start under emulation, beside another machine."""
BOX_FILE = """role: box
health: {probation: 90}
network:
  links:
    lan: {driver: e1000e, addresses: [10.0.2.15/24], gateways: [10.0.2.2]}
    mgmt: {parent: lan, vlan: 7, addresses: [192.0.2.10/24]}
  dns: [10.0.2.3]
  ca: [keys/site.crt]
"""
"""Five times as long may pass until Docker has replaced every container of the release before."""
SIZES = Sizes(esp=200, toweros=1600, state=3000)
SERVICES = ("sshd", "compose", "dhcpcd", "docker", "ntpd", "rngd")
ELEMENTS = ("osmo-stp", "osmo-hlr", "osmo-mgw", "osmo-msc", "osmo-bsc", "osmo-bts")
DOCKER = "ctr -n services.linuxkit t exec --exec-id {} docker docker {}"
IMSI = "901700000000001"
MICROCODE, FIRMWARE = "amd-ucode.cpio", "pkg/firmware-realtek"
FILE = "rtl_nic/rtl8168h-2.fw"
HOST = "nsenter -t 1 -m -n --"
FOUND = {
    "intel": (b"kernel/x86/microcode/GenuineIntel.bin", b"\x01\0\0\0"),
    "amd": (b"kernel/x86/microcode/AuthenticAMD.bin", b"DMA\0"),
}
"""Where the kernel looks, and how a file of the vendor begins (its arch/x86/kernel/cpu/microcode)."""
MODULES = built.CHECKOUT / "pkg/initrd/modules"
HLR = "boot/compose/osmo-nitb/osmo-hlr.cfg"
COMPOSE = "boot/compose/osmo-nitb/docker-compose.yml"
BSC = '["./osmo-bsc.cfg:/etc/osmocom/osmo-bsc.cfg:ro"]'


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    with built.alone("nitb"):
        made = Field(built.FOLDER / "nitb", BOX_FILE)
        with_hardware(made)
        made.apply()
        built.give_back(made.store)
        made.serve()
        yield made
        made.close()


def with_hardware(field: Field) -> None:
    """Microcode and firmware, by the role; a site's authority, the same in every run; an app that may hold a restart
    off."""
    spec, authority = field.fleet / "boot/box.yml", field.fleet / "keys/site.crt"
    text = spec.read_text()
    more = f'kernel-full"\n  ucode: {MICROCODE}\ninit: ["@pkg:../{FIRMWARE}"]\n'
    spec.write_text(text.replace('kernel-full"\n', more))
    assert spec.read_text() != text
    if not authority.exists():
        authority.write_text(Authority().pem)
    compose = field.fleet / COMPOSE
    holds = compose.read_text().replace(BSC, BSC.replace("]", f', "{HOLDS}/osmo-nitb:/holds"]'))
    assert holds != compose.read_text()
    compose.write_text(holds)
    field.commit("Microcode before the initrd, firmware, a folder for a veto")


@pytest.fixture(scope="module")
def machine(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = field.new_disk(tmp_path_factory.mktemp("nitb"), SIZES)
    made.hardware = replace(made.hardware, memory=2048, board=PLAIN)
    made.serial.unlink(missing_ok=True)
    with made:
        field.wait_healthy(field.state().enrolled, LONG)
        yield made


def docker(field: Field, words: str) -> str:
    """Run Docker's client as the old README does, in the docker service."""
    return field.ssh(DOCKER.format(f"t{time.monotonic_ns()}", words))


def try_docker(field: Field, words: str) -> str:
    return field.try_ssh(DOCKER.format(f"t{time.monotonic_ns()}", words))


def vty(field: Field, element: str, port: int, *commands: str) -> str:
    """Ask a network element over its VTY."""
    words = " ".join(f'"{command}"' for command in commands)
    return try_docker(field, f"exec {element} vty {port} {words}")


def turn(field: Field) -> Mapping[str, object]:
    return field.report().turn or {}


def subscribers(field: Field) -> str:
    return vty(field, "osmo-hlr", 4258, "show subscribers all")


@pytest.fixture(scope="module")
def subscriber(field: Field, machine: Machine) -> str:
    """One whom the HLR keeps in its data, whichever story is the first."""
    words = f"subscriber imsi {IMSI} create", "show subscribers all"
    field.wait_until("the subscriber", lambda: IMSI in vty(field, "osmo-hlr", 4258, *words))
    return IMSI


def test_its_initrd_begins_with_the_microcode_that_the_spec_names(field: Field, machine: Machine) -> None:
    published = field.store.offers.published(BOX)
    assert published
    initrd = field.store.blobs.read(published.release.content.initrd.sha256)
    assert b"kernel/x86/microcode/AuthenticAMD.bin" in initrd[:300]


@pytest.fixture(scope="module")
def kernel(field: Field) -> Mapping[str, bytes]:
    """The files of the package that the field has built."""
    layers = [built.store().blobs.path(layer) for layer in built.image("pkg/kernel-full").layers]
    return {path: data for layer in layers for path, data in files_of(layer)}


@pytest.mark.parametrize(("file", "vendors"), [("intel", "intel"), ("amd", "amd"), ("", "intel amd")])
def test_the_kernel_finds_the_microcode_of_both_vendors(kernel: Mapping[str, bytes], file: str, vendors: str) -> None:
    """An uncompressed archive at the very beginning, a file for each vendor, as each vendor's own format begins."""
    name = f"{file}-ucode.cpio".lstrip("-")
    data = kernel[name]
    assert early(data, name)[: len(data)] == data and data.startswith(b"070701")
    for vendor in vendors.split():
        path, magic = FOUND[vendor]
        at = data.index(path) + len(path)
        assert data[at:].lstrip(b"\0").startswith(magic), vendor


def test_its_kernel_has_every_driver_that_the_initrd_names_and_loads_it_for_its_devices(
    kernel: Mapping[str, bytes], tmp_path: Path
) -> None:
    """A name with `?` that no kernel has would be left out of every initrd, and nobody would hear of it."""
    (tmp_path / "kernel.tar").write_bytes(kernel["kernel.tar"])
    has = drivers(tmp_path / "kernel.tar")
    named = {plain(line.lstrip("?")) for line in MODULES.read_text().splitlines() if line[:1] not in ("#", "")}
    assert named - has.modules - has.builtin == set()
    devices = DISKS | CARDS | WATCHDOGS | LATER
    assert [name for name, (modalias, driver) in devices.items() if not has.drives(driver, modalias)] == []


def test_every_service_of_the_old_readme_is_running(field: Field, machine: Machine) -> None:
    tasks = field.ssh("ctr -n services.linuxkit t ls")
    for name in SERVICES:
        assert [line.split()[2] for line in tasks.splitlines() if line.split()[0] == name] == ["RUNNING"], tasks


def test_its_links_are_up_by_driver_and_in_a_vlan_and_the_initrd_was_told_the_way_out(
    field: Field, machine: Machine
) -> None:
    shown = field.ssh(f"{HOST} ip -o address show")
    assert re.search(r"eth0 +inet 10\.0\.2\.15/24", shown) and re.search(
        r"mgmt(@eth0)? +inet 192\.0\.2\.10/24", shown
    ), shown
    assert "toweros.net=static+address=10.0.2.15/24+" in (line := field.ssh("cat /proc/cmdline")), line
    assert "+on=driver:e1000e+" in line


def test_the_host_believes_the_authority_of_the_site(field: Field, machine: Machine) -> None:
    bundle = field.ssh(f"{HOST} cat /etc/ssl/certs/ca-certificates.crt")
    assert bundle.rstrip().endswith((field.fleet / "keys/site.crt").read_text().rstrip())
    assert bundle.count("BEGIN") > 100, "beside the usual ones"


def test_the_kernel_loads_the_firmware_of_the_roles_package(field: Field, machine: Machine) -> None:
    """By its own loader, for its own test driver: what a card would ask for, without the card."""
    ask = f"modprobe test_firmware && printf {FILE} >/sys/devices/virtual/misc/test_firmware/trigger_request"
    field.ssh(f"{HOST} sh -c '{ask}'")
    size = field.ssh(f"{HOST} stat -c %s /usr/lib/firmware/{FILE}").strip()
    assert f"test_firmware: loaded: {size}\n" in field.ssh(f"{HOST} dmesg")
    missing = ask.replace(FILE, "rtl_nic/none.fw")
    assert field.ssh(f"{HOST} sh -c '{missing} || echo refused'") == "refused\n"


def test_docker_ps_shows_the_osmocom_containers_by_the_old_readmes_words(field: Field, machine: Machine) -> None:
    """The base station ends itself while its controller is away, and is started again: that is waited for."""

    def shown() -> bool:
        lines = field.try_ssh("ctr -n services.linuxkit t exec --exec-id 2 docker docker ps").splitlines()
        ours = [(name, line) for name in ELEMENTS for line in lines if line.rstrip().endswith(name)]
        up = [name for name, line in ours if f"127.0.0.1:5000/{name}" in line and "Up" in line]
        return up == list(ELEMENTS)

    field.wait_until("six lines", shown)


def test_the_network_is_connected_up_to_the_radio(field: Field, machine: Machine) -> None:
    def asps(element: str, port: int) -> str:
        return vty(field, element, port, "show cs7 instance 0 asp")

    field.wait_until("the BSC at the STP", lambda: "ASP_ACTIVE" in asps("osmo-bsc", 4242))
    field.wait_until("the MSC at the STP", lambda: "ASP_ACTIVE" in asps("osmo-msc", 4254))
    field.wait_until("the MSC at the HLR", lambda: "MSC" in vty(field, "osmo-hlr", 4258, "show gsup-connections"))


def test_denied_paths_and_calls_are_denied(field: Field, machine: Machine) -> None:
    assert docker(field, "exec osmo-hlr cat /proc/self/attr/current").strip() == "osmo-hlr (enforce)"
    assert "Permission denied" in docker(field, "exec osmo-hlr sh -c 'cat /etc/passwd 2>&1; true'")
    assert "root:" in docker(field, "exec osmo-stp cat /etc/passwd"), "another profile lets it"
    fifo = "exec osmo-bts sh -c 'mkfifo /tmp/x 2>&1; true'"
    field.wait_until("the base station to run, and seccomp", lambda: "not permitted" in try_docker(field, fifo))


def test_what_boots_the_box_is_out_of_reach_of_a_privileged_container(field: Field, machine: Machine) -> None:
    image = docker(field, "inspect --format {{.Config.Image}} osmo-hlr").strip()
    line = (
        f"run --rm --privileged -u 0 -v /dev:/dev {image} sh -c 'head -c 1 /dev/sda2 2>&1; ls /run/toweros 2>&1; true'"
    )
    said = docker(field, line)
    assert "Operation not permitted" in said and "No such file" in said, said


def test_a_commit_waits_for_a_call_changes_a_user_container_and_its_data_stays(
    field: Field, machine: Machine, subscriber: str
) -> None:
    machine.hardware = replace(machine.hardware, board=STICK)
    docker(field, "exec osmo-bsc touch /holds/call")
    before = field.report()
    done = field.change(HLR, (field.fleet / HLR).read_text() + f"! {time.time()}\n", "A comment for the HLR")
    assert done.plan.builds == () and done.published == (BOX,)
    field.wait_until("a container to hold it off", lambda: turn(field).get("state") == "held", LONG)
    assert "osmo-nitb" in str(turn(field)["why"]) and field.report().boot_id == before.boot_id
    docker(field, "exec osmo-bsc rm /holds/call")
    report = field.wait_healthy(int(time.time()), LONG)
    assert report.boot_id != before.boot_id
    field.wait_until("the subscriber", lambda: subscriber in subscribers(field))
    assert report.fetched["bytes"] < 256 * 1024, "no image travels again"
    assert "usb" in field.ssh(f"{HOST} readlink -f /sys/class/block/sda")


@pytest.mark.soak
def test_a_broken_user_container_is_undone_with_its_release_and_the_data_stays(
    field: Field, machine: Machine, subscriber: str
) -> None:
    machine.hardware = replace(machine.hardware, board=NVME)
    before, text = field.report(), (field.fleet / COMPOSE).read_text()
    broken = text.replace(
        "container_name: osmo-hlr\n", f'container_name: osmo-hlr\n    command: ["false", "{time.time()}"]\n'
    )
    assert broken != text
    assert field.change(COMPOSE, broken, "An HLR that ends at once").published == (BOX,)
    wanted = field.store.offers.published(BOX)
    assert wanted

    def undone() -> bool:
        report = field.report()
        failure = {failure.release: failure for failure in report.failures}.get(wanted.document.sha256)
        return bool(
            failure
            and failure.verdict == Verdict.FAILED
            and "osmo-hlr" in failure.reason
            and report.phase == Phase.IDLE
        )

    field.wait_until("the box to go back", undone, LONG)
    field.wait_until("a healthy box", lambda: field.report().health == Health.HEALTHY, LONG)
    assert field.report().release == before.release
    assert "/dev/nvme0n1p2" in field.ssh(f"{HOST} mount")
    field.wait_until("the subscriber", lambda: subscriber in subscribers(field))

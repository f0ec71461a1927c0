"""Machines without a disk, started by their network: by iPXE on a BIOS, by UEFI HTTP Boot under Secure Boot. What runs
is what Git asks for, proven; DHCP is dnsmasq's, configured as docs/netboot.md has it."""

import contextlib
import ctypes
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitops.lab.firmware import Certificates, enroll_keys
from gitops.lab.machine import Machine
from gitops.lab.netbooted import NO_DISK, Netbooted
from gitops.model import Report
from gitops.model.machines.netboot import HandedOut
from gitops.noc.site import Config, Site
from gitops.process import run, start
from gitops.server import create_app, serve
from gitops.store.notes.netboot import BootSets, Starts
from gitops.workflows.enrolment import desk
from tests.e2e.field import BOX, GREETING, LONG, STATIC, Field
from tests.kit import built
from tests.kit.media import new_stick, plugged_in
from tests.kit.plain_rom import PlainRom

MAC = "52:54:00:12:34:56"
NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of unshare(2)."""
HTTP_FIRST = [
    word for family in ("IPv4", "IPv6") for word in ("-fw_cfg", f"name=opt/org.tianocore/{family}PXESupport,string=n")
]
"""OVMF tries PXE before HTTP otherwise, for minutes."""

ALONE, PROXY = "# The only DHCP server", "# Beside another DHCP server"
"""How the configurations in docs/netboot.md begin."""
STRANGER = (
    "port=0\ninterface=eth0\nbind-interfaces\ndhcp-range=10.0.2.15,10.0.2.15\ndhcp-option=option:router,10.0.2.1\n"
)
NVME = "pci-0000:00:06.0-nvme-1"
"""A disk by its place, as udev calls it."""
NOC = "http://10.0.2.2:8079"
IN_MEMORY = f"{STATIC}netboot: {{mac: '{MAC}'}}\n"
"""The box's file."""
DISK = 3 << 30
"""Bytes of one."""
UNDIONLY = Path("/usr/lib/ipxe/undionly.kpxe")

pytestmark = [pytest.mark.e2e, pytest.mark.boot]


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_stick(tmp_path_factory.mktemp("stick") / "key")


@pytest.fixture(scope="module")
def diskless(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """The box of the field is one that the network starts; afterwards it has its disk again. The programs that write
    file systems on this machine are broken meanwhile: nothing of the host's makes what starts a box."""
    broken = tmp_path_factory.mktemp("broken")
    for name in ("mformat", "mmd", "mcopy"):
        (broken / name).write_text("#!/bin/sh\nexit 1\n")
        (broken / name).chmod(0o755)
    path = f"boxes/{BOX}.yaml"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(broken), prepend=os.pathsep)
        field.change(path, IN_MEMORY, "The network starts it")
    yield field
    field.change(path, STATIC, "It has a disk")


def test_a_bios_whose_card_knows_no_ipxe_comes_to_a_verified_root_beside_somebody_elses_dhcp_server(
    diskless: Field, stick: Path, tmp_path: Path
) -> None:
    """PXE, proxyDHCP, TFTP, undionly.kpxe, our script; what follows is the same as by UEFI. All of it is the site's own
    server's, as the signed word says, and the update server is away."""
    diskless.change(f"boxes/{BOX}.yaml", f"{IN_MEMORY}noc: {NOC}\n", "Its site has a server")
    in_a_network_of_its_own(lambda: pxe_boot(diskless, stick, tmp_path))


def pxe_boot(field: Field, stick: Path, folder: Path) -> None:
    """In a network with two DHCP servers: one gives addresses, and knows nothing of us; ours gives none."""
    (folder / "tftp").mkdir()
    shutil.copy(UNDIONLY, folder / "tftp")
    stranger = start(["unshare", "--net", "sleep", "infinity"], log_file=folder / "stranger.log")
    try:
        with PlainRom(folder, "tap0") as cable, contextlib.ExitStack() as stack:
            bridge(stranger.pid)
            stack.enter_context(dnsmasq(folder / "elsewhere", STRANGER, netns=stranger.pid))
            stack.enter_context(dnsmasq(folder / "ours", recipe(field, PROXY, folder / "tftp", NOC)))
            site = stack.enter_context(noc(field, folder / "noc"))
            hardware = Netbooted(NO_DISK, None, mac=MAC, link=cable.words, more=plugged_in(stick))
            with Machine(folder / "bios", hardware) as machine:
                machine.wait_for(r"initrd: the root is verified", LONG)
                said = machine.output()
            assert cable.asked[0] == b"undionly.kpxe"
    finally:
        stranger.stop(5)
    published = field.store.offers.published(BOX)
    assert published
    assert said.count(".zst") == len(published.release.layers()), "all of them packed"
    assert said.count(f"fetching {NOC}/") == len(published.release.layers()) + 1 and ", try" not in said
    assert "MiB of layers come into memory" in said and "the key stick is /dev/vda" in said
    assert len(site.ground.starts(BOX).starts) == 1


@contextlib.contextmanager
def noc(field: Field, folder: Path) -> Iterator[Site]:
    """A site's own server that has all that the box needs; the update server is gone since."""
    folder.mkdir()
    field.apply()  # what starts a box is signed by the pass after the one that made it
    root = (field.fleet / "keys" / "root.json").read_bytes()
    site = Site(Config("site", field.settings.server, root, folder, NOC.removeprefix("http://"), boxes=(BOX,)))
    with site.serving():
        with served(field):
            assert site.once().boxes == {BOX: ""}
        yield site


def healthy(field: Field, machine: Machine, began: int) -> Report:
    """The box's report, once its key is let in: what nobody let in says nothing that counts."""

    def asks() -> str:
        asking = desk.requests(field.store, int(time.time()), BOX)
        return next((each.fingerprint for each in asking if each.last >= began), "")

    machine.wait_for(r"initrd: the root is verified", LONG)
    field.wait_until("a word of it", lambda: asks() or field.state().received >= began)
    if field.state().received < began:
        desk.accept(field.store, BOX, asks(), int(time.time()), replace=True)
    return field.wait_healthy(began)


def secure_machine(field: Field, folder: Path, disks: list[str]) -> Netbooted:
    """On a cable to us, 10.0.2.2; what its firmware starts is signed."""
    for words in ("tuntap add tap0 mode tap", "addr add 10.0.2.2/24 dev tap0", "link set tap0 up"):
        run(["ip", *words.split()])
    variables = enroll_keys(folder / "vars.fd", Certificates.of_folder(field.keys))
    link = "tap,ifname=tap0,script=no,downscript=no"
    return Netbooted(NO_DISK, variables, {}, 1536, mac=MAC, link=link, more=[*HTTP_FIRST, *disks])


@pytest.mark.soak
def test_a_firmware_with_secure_boot_installs_the_disk_that_is_named_and_goes_on_from_there_after_a_cut(
    diskless: Field, tmp_path: Path
) -> None:
    """By HTTP Boot, onto one of two disks. Cut before it has a layer; installed again; then it starts from its disk."""
    path = f"boxes/{BOX}.yaml"
    diskless.change(path, f"{STATIC}netboot: {{mac: '{MAC}', install: '{NVME}'}}\n", "The network installs it")
    in_a_network_of_its_own(lambda: http_install(diskless, tmp_path))


def http_install(field: Field, folder: Path) -> None:
    nvme, other = new_disk(folder / "nvme.raw"), new_disk(folder / "sda.raw")
    disks = [
        "-drive",
        f"if=none,id=nvme,format=raw,file={nvme}",
        "-device",
        "nvme,serial=1,drive=nvme,addr=6,bootindex=1",
    ]
    disks += ["-drive", f"if=none,id=sda,format=raw,file={other}", "-device", "ide-hd,bus=ide.0,drive=sda"]
    hardware = secure_machine(field, folder, disks)
    with dnsmasq(folder / "ours", recipe(field, ALONE)), served(field):
        with Machine(folder / "cut", hardware) as machine:
            machine.wait_for("initrd: nvme0n1 is settled", LONG)
            machine.power_cut()
        with Machine(folder / "again", hardware) as machine:
            report = healthy(field, machine, int(time.time()) + 1)
            assert "initrd: settling nvme0n1: TowerOS" in machine.output()
        assert report.firmware and report.firmware["secure_boot"] and not report.degraded
        with Machine(folder / "alone", hardware) as machine:
            machine.wait_for(f"initrd: box {BOX}, .* entry toweros-{report.sequence}.efi", LONG)
            machine.wait_for("initrd: the root is verified", LONG)
            assert "settling" not in machine.output() and "fetching" not in machine.output(), "the server has no image"
    assert report.entry == f"toweros-{report.sequence}.efi"
    assert other.stat().st_blocks == 0, "nobody named it"


def new_disk(path: Path) -> Path:
    with path.open("wb") as stream:
        stream.truncate(DISK)
    return path


def test_a_firmware_with_secure_boot_becomes_healthy_by_http_boot_and_falls_back_after_three_starts(
    diskless: Field, stick: Path, tmp_path: Path
) -> None:
    """The signed loader, UKI and addon of the ESP that DHCP names, and the same box by the same stick."""
    diskless.change(f"boxes/{BOX}.yaml", IN_MEMORY, "It has no disk")
    in_a_network_of_its_own(lambda: http_boot(diskless, stick, tmp_path))


def http_boot(field: Field, stick: Path, folder: Path) -> None:
    hardware = secure_machine(field, folder, plugged_in(stick))
    with dnsmasq(folder / "ours", recipe(field, ALONE)), served(field):
        with Machine(folder / "uefi", hardware) as machine:
            report = healthy(field, machine, int(time.time()) + 1)
            assert "entry toweros-" in machine.output(), "systemd-boot and the stub of the ESP in memory"
        assert report.firmware and report.firmware["secure_boot"] and not report.degraded
        field.change(
            GREETING, f"hello, whoever starts at {time.time():.0f}\n", "A release that no machine comes up with"
        )
        sets = field.store.notes.get(BootSets, BOX)
        assert sets and [(each.release == report.release, each.proven) for each in sets.sets] == [
            (False, False),
            (True, True),
        ]
        three_starts(field, report)
        with Machine(folder / "again", hardware) as machine:
            machine.wait_for(f"initrd: box {BOX}, release {report.sequence} {report.release}", LONG)
    told = [event.message for event in field.store.events.latest(BOX)]
    assert any(f"release {report.sequence} is handed out" in message for message in told), told


def three_starts(field: Field, report: Report) -> None:
    """Of what is offered now, since the box was heard: as if it had been handed that out, and never come up."""
    received = field.state().received
    offered = field.state().published.release
    assert offered != report.release
    starts = tuple(HandedOut(received + second, report.boot_id) for second in range(3))
    field.store.notes.put(Starts(offered, starts), BOX)
    field.wait_until("a time after these", lambda: time.time() > received + 3)


def bridge(stranger: int) -> None:
    """The machine's cable, us as 10.0.2.2, and the network namespace of a process as 10.0.2.1."""
    for words in (
        "link add lan type bridge",
        "link set tap0 master lan",
        f"link add port type veth peer name eth0 netns {stranger}",
        "link set port master lan",
        "link set port up",
        "addr add 10.0.2.2/24 dev lan",
        "link set lan up",
    ):
        run(["ip", *words.split()])
    for words in ("addr add 10.0.2.1/24 dev eth0", "link set eth0 up"):
        run(["nsenter", "-t", str(stranger), "-n", "ip", *words.split()])


@contextlib.contextmanager
def dnsmasq(folder: Path, configuration: str, netns: int = 0) -> Iterator[None]:
    """A DHCP server; in the network namespace of a process."""
    folder.mkdir()
    (folder / "dnsmasq.conf").write_text(configuration)
    own = [f"--dhcp-leasefile={folder}/leases", f"--pid-file={folder}/pid", "--user=root", "--keep-in-foreground"]
    there = ["nsenter", "-t", str(netns), "-n"] if netns else []
    program = start([*there, "dnsmasq", f"--conf-file={folder}/dnsmasq.conf", *own], log_file=folder / "dnsmasq.log")
    try:
        yield
    finally:
        program.stop(5)


def served(field: Field) -> contextlib.AbstractContextManager[str]:
    """The update server, in this network."""
    port = field.settings.server.rpartition(":")[2]
    return serve(create_app(field.store, field.settings), f"10.0.2.2:{port}")


def recipe(field: Field, network: str, tftp: Path = Path("/srv/tftp"), server: str = "") -> str:
    """The configuration that docs/netboot.md has for such a network, with our own addresses."""
    text = (built.CHECKOUT / "docs" / "netboot.md").read_text()
    found = next(part for part in text.split("```\n") if part.startswith(network))
    places = {"INTERFACE": "lan" if network == PROXY else "tap0", "RANGE": "10.0.2.15,10.0.2.15"}
    places |= {
        "ROUTER": "10.0.2.2",
        "SERVER": server or field.settings.server,
        "NETWORK": "10.0.2.0",
        "ADDRESS": "10.0.2.2",
        "/srv/tftp": str(tftp),
    }
    for name, value in places.items():
        found = found.replace(name, value)
    return found.replace("kiosk-3", BOX)


def in_a_network_of_its_own(work: Callable[[], None]) -> None:
    """Let a thread work that sees no network but its own, nor do the processes that it starts."""
    trouble: list[BaseException] = []

    def thread() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "unshare")
            run(["ip", "link", "set", "lo", "up"])
            work()
        except BaseException as error:
            trouble.append(error)

    worker = threading.Thread(target=thread)
    worker.start()
    worker.join()
    for each in trouble:
        raise each

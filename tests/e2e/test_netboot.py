"""Machines without a disk, started by their network: by iPXE on a BIOS, by UEFI HTTP Boot under Secure Boot. What runs
is what Git asks for, proven; DHCP is dnsmasq's, configured as docs/netboot.md has it."""

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.lab.firmware import Certificates, enroll_keys
from gitops.lab.machine import Machine
from gitops.lab.netbooted import NO_DISK, Netbooted, netbooted
from gitops.process import run, start
from gitops.server import create_app, serve
from gitops.store.notes.netboot import BootSets, Starts
from gitops.workflows.enrolment import desk
from tests.e2e.field import BOX, LONG, STATIC, Field
from tests.kit import built

MAC = "52:54:00:12:34:56"
NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of unshare(2)."""
HTTP_FIRST = [
    word for family in ("IPv4", "IPv6") for word in ("-fw_cfg", f"name=opt/org.tianocore/{family}PXESupport,string=n")
]
"""OVMF tries PXE before HTTP otherwise, for minutes."""

pytestmark = [pytest.mark.e2e, pytest.mark.boot]


@pytest.fixture
def diskless(field: Field) -> Iterator[Field]:
    """The box of the field is one that the network starts; afterwards it has its disk again."""
    path = f"boxes/{BOX}.yaml"
    field.change(path, f"{STATIC}netboot: {{mac: '{MAC}'}}\n", "The network starts it")
    yield field
    field.change(path, STATIC, "It has a disk")


def key_stick(image: Path) -> list[str]:
    """Where a machine without a disk keeps its key: without it, it is Unknown."""
    run(["mkfs.fat", "-n", "TOWEROS-KEY", "-C", image, "4096"])
    return ["-drive", f"if=none,id=stick,format=raw,file={image}", "-device", "virtio-blk-pci,drive=stick"]


def test_a_bios_without_a_disk_comes_to_a_verified_root_and_is_healthy_once_it_is_let_in(
    diskless: Field, tmp_path: Path
) -> None:
    field, began = diskless, int(time.time()) + 1  # the last story ended in this second
    ports = {field.port("ssh"): 22}
    server = field.settings.server
    hardware = replace(netbooted(server, MAC, ports), more=key_stick(tmp_path / "stick"))
    with Machine(tmp_path / "bios", hardware) as machine:
        machine.wait_for(r"initrd: the root is verified", LONG)
        field.wait_until("a key that asks", lambda: desk.requests(field.store, int(time.time()), BOX))
        assert field.state().received < began, "what nobody let in says nothing that counts"
        (asking,) = desk.requests(field.store, int(time.time()), BOX)
        desk.accept(field.store, BOX, asking.fingerprint, int(time.time()), replace=True)
        report = field.wait_healthy(began)
        boot = field.boot_json()
        assert (boot["place"], boot["repaired"], boot["entry"]) == ("ram", [], "")
        assert report.release == field.state().published.release
        said = machine.output()
    published = field.store.offers.published(BOX)
    assert published and said.count(".zst, try 1") == len(published.release.layers()), "all of them packed"
    assert "MiB of layers come into memory" in said and "the key stick is /dev/vda" in said
    field.apply()
    sets, starts = field.store.notes.get(BootSets, BOX), field.store.notes.get(Starts, BOX)
    assert sets and sets.sets[0].proven and starts and len(starts.starts) == 1


def test_a_firmware_with_secure_boot_starts_the_signed_esp_that_dhcp_names(diskless: Field, tmp_path: Path) -> None:
    """As far as the initrd that fetches: what follows is the same."""
    said = in_a_network_of_its_own(lambda: http_boot(diskless, tmp_path))
    assert "entry toweros-" in said, "systemd-boot and the stub of the ESP in memory"


def http_boot(field: Field, folder: Path) -> str:
    """What a machine says to its serial console that has a DHCP server as the documentation configures it."""
    for words in ("link set lo up", "tuntap add tap0 mode tap", "addr add 10.0.2.2/24 dev tap0", "link set tap0 up"):
        run(["ip", *words.split()])
    url = field.settings.server
    (folder / "dnsmasq.conf").write_text(
        recipe(INTERFACE="tap0", RANGE="10.0.2.15,10.0.2.15", ROUTER="10.0.2.2", SERVER=url)
    )
    own = [f"--dhcp-leasefile={folder}/leases", f"--pid-file={folder}/pid", "--user=root", "--keep-in-foreground"]
    dnsmasq = start(["dnsmasq", f"--conf-file={folder}/dnsmasq.conf", *own], log_file=folder / "dnsmasq.log")
    variables = enroll_keys(folder / "vars.fd", Certificates.of_folder(field.keys))
    hardware = Netbooted(NO_DISK, variables, {}, 1536, mac=MAC, tap="tap0", more=HTTP_FIRST)
    port = url.rpartition(":")[2]
    try:
        with (
            serve(create_app(field.store, field.settings), f"10.0.2.2:{port}"),
            Machine(folder / "uefi", hardware) as machine,
        ):
            machine.wait_for(r"initrd: fetching .*release\.json", LONG)
            return machine.output()
    finally:
        dnsmasq.stop(5)


def recipe(**places: str) -> str:
    """The configuration in docs/netboot.md, for this network."""
    text = (built.CHECKOUT / "docs" / "netboot.md").read_text()
    found = next(part for part in text.split("```\n") if part.startswith("port=0"))
    for name, value in places.items():
        found = found.replace(name, value)
    return found.replace("kiosk-3", BOX)


def in_a_network_of_its_own(work: Callable[[], str]) -> str:
    """Let a thread work that sees no network but its own, nor do the processes that it starts."""
    result: list[str | BaseException] = []

    def thread() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "unshare")
            result.append(work())
        except BaseException as error:
            result.append(error)

    worker = threading.Thread(target=thread)
    worker.start()
    worker.join()
    (only,) = result
    if isinstance(only, BaseException):
        raise only
    return only

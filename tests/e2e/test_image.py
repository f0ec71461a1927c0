"""Assembled disks under real firmware: what boots, and what Secure Boot keeps out."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from virt.firmware.efi.devpath import DevicePath, DevicePathElem
from virt.firmware.varstore.edk2 import Edk2VarStore

from gitops.assemble.formats.disk import Contents, Sizes, _id, disk_image
from gitops.assemble.release import Assembled, Assembler
from gitops.assemble.toolbox import Toolbox
from gitops.lab.firmware import Certificates, enroll_keys
from gitops.lab.hardware import Hardware, overlay
from gitops.lab.machine import Machine
from gitops.model import Box, Image, Revision, Spec
from gitops.process import run
from gitops.store import Store
from tests.kit import built, oci

BUSYBOX = Path("/usr/bin/busybox")
SIZES = Sizes(esp=128, toweros=128, state=64)
BOOT_TIMEOUT = 120.0
INIT = b"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "$module" || echo "FAILED $module"; done < /etc/modules.load
/bin/busybox mount -t efivarfs efivars /sys/firmware/efi/efivars
echo "CMDLINE $(/bin/busybox cat /proc/cmdline)"
for path in /sys/firmware/efi/efivars/Loader* /sys/firmware/efi/efivars/Stub* /sys/firmware/efi/efivars/Boot[0O]*; do
    value=$(/bin/busybox tail -c +5 "$path" | /bin/busybox tr -d '\\000' | /bin/busybox tr -c '\\040-\\176' .)
    echo "VAR ${path##*/} $value"
done
/bin/busybox mkdir /disk
/bin/busybox mount -t ext4 -o ro /dev/vda2 /disk
echo "DISK $(/bin/busybox cat /disk/identity/box.json) $(cd /disk; echo releases/*)"
echo "THE-END"
/bin/busybox poweroff -f
"""

pytestmark = [pytest.mark.e2e, pytest.mark.boot]


class Keys:
    """Throw-away Secure Boot keys, and a hand that signs with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        for name in ("PK", "KEK", "db"):
            files = ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
            self._run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-x509", "-subj", f"/CN={name}/", *files)

    @property
    def certificates(self) -> Certificates:
        return Certificates.of_folder(self._folder)

    def sign(self, image: bytes) -> bytes:
        (self._folder / "in.efi").write_bytes(image)
        self._run("sbsign", "--key", "db.key", "--cert", "db.crt", "--output", "out.efi", "in.efi")
        return (self._folder / "out.efi").read_bytes()

    def _run(self, *command: str) -> None:
        subprocess.run(command, cwd=self._folder, check=True, capture_output=True)


class Bench:
    """One store, one release, one pair of key sets, one disk; each test boots an overlay of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.toolbox: Toolbox = built.toolbox()
        self.store = Store.open(folder / "store")
        self.keys, self.foreign = Keys(folder / "keys"), Keys(folder / "foreign")
        self.images = self._images()
        self.assembled = self.assemble(7)
        efi = built.toolbox_root() / "usr/lib/systemd/boot/efi"
        self.loader = self.keys.sign((efi / "systemd-bootx64.efi").read_bytes())

    def assemble(self, sequence: int) -> Assembled:
        spec = Spec(kernel="@pkg:pkg/kernel", cmdline="console=ttyS0 panic=10", init=("@pkg:pkg/init",))
        revision = Revision("main", "0" * 40, sequence, 1_700_000_000)
        box = Box("demo-1", "demo", spec)
        return Assembler(self.store, self.toolbox, self.images).assemble(box, revision, "http://10.0.2.2:8080")

    def disk(self, name: str, uki: bytes, addon: bytes, assembled: Assembled | None = None) -> Path:
        path = self.folder / f"{name}.raw"
        release = (assembled or self.assembled).release
        disk_image(path, self.store, Contents(release, uki, addon, self.loader, b"a key"), SIZES)
        return path

    def add_entry(self, disk: Path, entry: str, uki: bytes, addon: bytes) -> None:
        """Add a second release's boot files to a disk's ESP."""
        folder = self.folder / "entry"
        extra = folder / (re.sub(r"[+][-0-9]+", "", entry) + ".extra.d")
        extra.mkdir(parents=True)
        (folder / entry).write_bytes(uki)
        (extra / "release.addon.efi").write_bytes(addon)
        esp = f"{disk}@@{SIZES.starts()['ESP'][0]}"
        run(["mcopy", "-i", esp, "-s", "-Q", *folder.iterdir(), "::/EFI/Linux/"], env={"MTOOLS_SKIP_CHECK": "1"})
        shutil.rmtree(folder)

    def machine(self, disk: Path) -> Machine:
        folder = disk.with_suffix("")
        folder.mkdir()
        variables = enroll_keys(folder / "vars.fd", self.keys.certificates)
        return Machine(folder, Hardware(overlay(disk, folder / "disk.qcow2"), variables, memory=512))

    def _images(self) -> dict[str, Image]:
        efi = built.toolbox_root() / "usr/lib/systemd/boot/efi"
        names = ("systemd-bootx64.efi", "linuxx64.efi.stub", "addonx64.efi.stub")
        modules = b"virtio_pci\nvirtio_blk\nefivarfs\n"
        files = {"init": INIT, "bin/busybox": BUSYBOX, "bin/sh": "busybox", "etc/modules": modules}
        contents: dict[str, dict[str, oci.File]] = {
            "pkg/kernel": {"kernel": built.kernel() / "kernel", "kernel.tar": built.kernel() / "kernel.tar"},
            "pkg/init": {"etc/": b"", "etc/issue": b"hello"},
            "pkg/initrd": dict(files),
            "pkg/bootloader": {name: efi / name for name in names},
        }
        return {f"@pkg:{name}": oci.image(self.store, name, files) for name, files in contents.items()}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def test_a_signed_release_boots_with_its_addon(bench: Bench) -> None:
    keys, made = bench.keys, bench.assembled
    with bench.machine(bench.disk("good", keys.sign(made.uki), keys.sign(made.addon))) as machine:
        machine.wait_for("THE-END", BOOT_TIMEOUT)
        said = machine.output()
    assert "console=ttyS0 panic=10" in said
    assert f"toweros.release={made.release.digest} toweros.sequence=7 toweros.box=demo-1" in said
    assert "FAILED" not in said
    assert f'DISK {{"box":"demo-1"}} releases/{made.release.digest}.json' in said


def test_an_unsigned_addon_is_dropped(bench: Bench) -> None:
    made = bench.assembled
    with bench.machine(bench.disk("unsigned", bench.keys.sign(made.uki), made.addon)) as machine:
        machine.wait_for("THE-END", BOOT_TIMEOUT)
        said = machine.output()
    assert "console=ttyS0 panic=10" in said
    assert "toweros.release" not in said


def test_a_foreign_uki_does_not_run(bench: Bench) -> None:
    made = bench.assembled
    disk = bench.disk("foreign-uki", bench.foreign.sign(made.uki), bench.keys.sign(made.addon))
    with bench.machine(disk) as machine:
        machine.wait_for(r"Access denied|Security Policy Violation|access denied", BOOT_TIMEOUT)
        assert "CMDLINE" not in machine.output()


def variables_of(console: str) -> dict[str, str]:
    """What the firmware and the boot loader left, by name; zero bytes dropped."""
    return dict(re.findall(r"VAR ([A-Za-z0-9]+)-[-0-9a-f]{36} (.*?)\r?$", console, re.MULTILINE))


def test_the_newest_counted_entry_goes_first(bench: Bench) -> None:
    keys, old, new = bench.keys, bench.assembled, bench.assemble(10)
    disk = bench.disk("counted", keys.sign(old.uki), keys.sign(old.addon))
    bench.add_entry(disk, "toweros-10+3.efi", keys.sign(new.uki), keys.sign(new.addon))
    with bench.machine(disk) as machine:
        machine.wait_for("THE-END", BOOT_TIMEOUT)
        said = machine.output()
    assert f"toweros.release={new.release.digest}" in said
    found = variables_of(said)
    assert found["LoaderEntrySelected"] == "toweros-10.efi", json.dumps(found, indent=1)
    assert found["LoaderBootCountPath"] == r"\EFI\Linux\toweros-10+2-1.efi"
    assert found["StubImageIdentifier"] == r"\EFI\Linux\toweros-10+2-1.efi"


def add_boot_entries(variables: Path, files: list[str]) -> None:
    """Put firmware boot entries for files on the ESP into a variable store, first of all."""
    start, size = SIZES.starts()["ESP"]
    store = Edk2VarStore(str(variables))
    found = store.get_varlist()
    for file in files:
        partition, path, whole = DevicePathElem(), DevicePathElem(), DevicePath()
        partition.set_gpt(1, start // 512, size // 512, str(_id("demo-1", "ESP")))
        path.set_filepath(file)
        whole.extend([partition, path])
        found.append_boot_order(found.add_boot_entry(file, whole))
    store.write_varstore(str(variables), found)


def test_the_second_boot_entry_runs_when_the_firmware_refuses_the_newest(bench: Bench) -> None:
    keys, old, new = bench.keys, bench.assembled, bench.assemble(10)
    disk = bench.disk("refused", keys.sign(old.uki), keys.sign(old.addon))
    bench.add_entry(disk, "toweros-10+3.efi", bench.foreign.sign(new.uki), keys.sign(new.addon))
    machine = bench.machine(disk)
    add_boot_entries(machine.hardware.variables, [r"\EFI\BOOT\BOOTX64.EFI", r"\EFI\Linux\toweros-7.efi"])
    with machine:
        machine.wait_for("THE-END", BOOT_TIMEOUT)
        said = machine.output()
    print(json.dumps(variables_of(said), indent=1))
    assert f"toweros.release={old.release.digest}" in said
    assert said.index("Access denied") < said.index("CMDLINE")

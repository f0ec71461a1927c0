"""Assembled disks under real firmware: what boots, what Secure Boot keeps out, and that kernel arguments and initrd
come from signed parts alone (docs/security.md, "Ways to the kernel's arguments")."""

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import pytest
from toweros_agent.firmware.boot_loader import TRIAL_NAME, TRIAL_PATH
from toweros_agent.firmware.efivars import LOADER_PATH, Partition, load_option
from virt.firmware.efi.devpath import DevicePath, DevicePathElem
from virt.firmware.varstore.edk2 import Edk2VarStore

from gitops.assemble.boot.cpio import Node, archive
from gitops.assemble.boot.pe import Section, add_sections
from gitops.assemble.formats.disk import Sizes, _id, disk_image
from gitops.assemble.formats.staging import Contents
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
BOOT_TIMEOUT = 400.0
INIT = b"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "$module" || echo "FAILED $module"; done < /etc/modules.load
/bin/busybox dmesg -n 1  # what the kernel says meanwhile would end up inside of these lines
/bin/busybox mount -t efivarfs efivars /sys/firmware/efi/efivars
echo "CMDLINE $(/bin/busybox cat /proc/cmdline)"
echo "SIGNED $(/bin/busybox cat /etc/cmdline)"
echo "TREE" /* /.[!.]*
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

EVIL = "rdinit=/bin/sh init=/bin/sh root=/dev/vda1 FROM-"
"""What an attacker wants the kernel to read, and from where."""
SMBIOS = ("io.systemd.stub.kernel-cmdline-extra={}SMBIOS", "io.systemd.boot.kernel-cmdline-extra={}BOOT",
          "io.systemd.credential:evil={}CREDENTIAL")  # fmt: skip

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
        self.loader = self.keys.sign(built.boot_files()["systemd-bootx64.efi"].read_bytes())

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
        self._copy(disk, folder, "EFI/Linux")

    def put(self, disk: Path, files: Mapping[str, bytes]) -> None:
        """Write files onto a disk's ESP."""
        folder = self.folder / "esp"
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        self._copy(disk, folder, "")

    def _copy(self, disk: Path, folder: Path, to: str) -> None:
        esp = f"{disk}@@{SIZES.starts()['ESP'][0]}"
        env = {"MTOOLS_SKIP_CHECK": "1"}
        run(["mcopy", "-i", esp, "-s", "-o", "-Q", *sorted(folder.iterdir()), f"::/{to}"], env=env)
        shutil.rmtree(folder)

    def addon(self, cmdline: str) -> bytes:
        """A signed addon that says something else than which release it is."""
        stub = built.boot_files()["addonx64.efi.stub"].read_bytes()
        return self.keys.sign(add_sections(stub, [Section(".cmdline", cmdline.encode() + b"\0")]))

    def machine(self, disk: Path, more: Sequence[str] = ()) -> Machine:
        folder = disk.with_suffix("")
        folder.mkdir()
        variables = enroll_keys(folder / "vars.fd", self.keys.certificates)
        return Machine(folder, Hardware(overlay(disk, folder / "disk.qcow2"), variables, memory=512, more=more))

    def _images(self) -> dict[str, Image]:
        modules = b"virtio_pci\nvirtio_blk\nefivarfs\n"
        files = {"init": INIT, "bin/busybox": BUSYBOX, "bin/sh": "busybox", "etc/modules": modules}
        contents: dict[str, dict[str, oci.File]] = {
            "pkg/kernel": {"kernel": built.kernel() / "kernel", "kernel.tar": built.kernel() / "kernel.tar"},
            "pkg/init": {"etc/": b"", "etc/issue": b"hello"},
            "pkg/initrd": dict(files),
            "pkg/bootloader": dict(built.boot_files()),
        }
        return {f"@pkg:{name}": oci.image(self.store, name, files) for name, files in contents.items()}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def line_of(console: str) -> str:
    """The kernel's arguments, as a running system reads them."""
    (line,) = re.findall(r"^CMDLINE (.*?)\r?$", console, re.MULTILINE)
    return line


def signed_line(assembled: Assembled) -> str:
    release = assembled.release
    words = f"toweros.release={release.digest} toweros.sequence={release.sequence} toweros.box=demo-1"
    return f"console=ttyS0 panic=10 {words} toweros.server=http://10.0.2.2:8080 toweros.net=dhcp"


@pytest.fixture(scope="module")
def besieged(bench: Bench) -> str:
    """The console of a good release on an ESP, and in a machine, full of what systemd's stub would have taken."""
    keys, made = bench.keys, bench.assembled
    disk = bench.disk("good", keys.sign(made.uki), keys.sign(made.addon))
    extra = "EFI/Linux/toweros-7.efi.extra.d"
    bench.put(disk, {
        "loader/addons/evil.addon.efi": bench.addon(EVIL + "ADDONS"),
        f"{extra}/a.addon.efi": bench.addon(EVIL + "BESIDE"),
        "loader/credentials/evil.cred": b"x",
        f"{extra}/evil.cred": b"x", f"{extra}/evil.sysext.raw": b"x" * 512, f"{extra}/evil.confext.raw": b"x" * 512,
    })  # fmt: skip
    strings = ",".join(f"value={each.format(EVIL)}" for each in SMBIOS)
    with bench.machine(disk, ["-smbios", f"type=11,{strings}"]) as machine:
        machine.wait_for("THE-END|can't access tty|Kernel panic", BOOT_TIMEOUT)
        return machine.output()


def test_a_signed_release_boots_with_its_addon(bench: Bench, besieged: str) -> None:
    assert "FAILED" not in besieged
    assert f'DISK {{"box":"demo-1"}} releases/{bench.assembled.release.digest}.json' in besieged


def test_nothing_but_the_signed_parts_is_on_the_command_line(bench: Bench, besieged: str) -> None:
    assert line_of(besieged) == signed_line(bench.assembled)
    assert re.search(r"^SIGNED console=ttyS0 panic=10\r?$", besieged, re.MULTILINE)


def test_no_credential_and_no_extension_gets_into_the_initrd(besieged: str) -> None:
    (tree,) = re.findall(r"^TREE (.*?)\r?$", besieged, re.MULTILINE)
    assert not [path for path in tree.split() if path.startswith("/.") and path != "/.[!.]*"], tree


TYPE_1 = f"""title evil
linux /EFI/Linux/toweros-7.efi
initrd /evil.cpio
options {EVIL}TYPE-1
"""
FOREIGN_CONF = "default evil.conf\neditor yes\ntimeout 1\n"


def test_a_type_1_entry_chooses_no_arguments_and_no_initrd_and_an_unsigned_addon_is_dropped(bench: Bench) -> None:
    made = bench.assembled
    disk = bench.disk("unsigned", bench.keys.sign(made.uki), made.addon)
    evil = archive({"init": Node(0o100755, data=b"#!/bin/busybox sh\necho THE-END of all\n")})
    bench.put(disk, {"loader/entries/evil.conf": TYPE_1.encode(), "loader/loader.conf": FOREIGN_CONF.encode(),
                     "evil.cpio": evil})  # fmt: skip
    with bench.machine(disk) as machine:
        machine.wait_for("THE-END|can't access tty|Kernel panic", BOOT_TIMEOUT)
        said = machine.output()
    assert variables_of(said)["LoaderEntrySelected"] == "evil.conf"
    assert line_of(said) == "console=ttyS0 panic=10"
    assert "the firmware refused the release's addon" in said
    assert "an initrd of somebody else is taken away" in said


def test_a_foreign_uki_does_not_run_and_one_from_the_network_names_no_release(bench: Bench) -> None:
    made = bench.assembled
    disk = bench.disk("foreign-uki", bench.foreign.sign(made.uki), bench.keys.sign(made.addon))
    served = bench.folder / "tftp"
    served.mkdir()
    (served / "uki.efi").write_bytes(bench.keys.sign(made.uki))
    network = ["-netdev", f"user,id=pxe,tftp={served},bootfile=uki.efi"]
    with bench.machine(disk, [*network, "-device", "virtio-net-pci,netdev=pxe,romfile=,bootindex=1"]) as machine:
        machine.wait_for("THE-END|can't access tty|Kernel panic", BOOT_TIMEOUT)
        said = machine.output()
    assert re.search(r"Access denied|Security Policy Violation|access denied", said)
    assert said.count("CMDLINE") == 1 and line_of(said) == "console=ttyS0 panic=10"


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


def add_boot_entries(variables: Path, files: Sequence[str], options: str) -> None:
    """Put firmware boot entries for files on the ESP into a variable store, first of all, with options for each."""
    start, size = SIZES.starts()["ESP"]
    store = Edk2VarStore(str(variables))
    found = store.get_varlist()
    for file in files:
        partition, path, whole = DevicePathElem(), DevicePathElem(), DevicePath()
        partition.set_gpt(1, start // 512, size // 512, str(_id("demo-1", "ESP")))
        path.set_filepath(file)
        whole.extend([partition, path])
        found.append_boot_order(found.add_boot_entry(file, whole, optdata=options.encode("utf-16-le")))
    store.write_varstore(str(variables), found)


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def test_a_flipped_byte_in_the_newest_uki_and_the_second_boot_entry_runs(bench: Bench) -> None:
    keys, old, new = bench.keys, bench.assembled, bench.assemble(10)
    disk = bench.disk("refused", keys.sign(old.uki), keys.sign(old.addon))
    bench.add_entry(disk, "toweros-10+3.efi", flip(keys.sign(new.uki)), keys.sign(new.addon))
    machine = bench.machine(disk)
    files = [r"\EFI\BOOT\BOOTX64.EFI", r"\EFI\Linux\toweros-7.efi"]
    add_boot_entries(machine.hardware.variables, files, f"{EVIL}LOAD-OPTIONS\0")
    with machine:
        machine.wait_for("THE-END", BOOT_TIMEOUT)
        said = machine.output()
    print(json.dumps(variables_of(said), indent=1))
    assert line_of(said) == signed_line(old)
    assert said.index("Access denied") < said.index("CMDLINE")


def start_once(variables: Path, name: str, path: str) -> None:
    """As an agent asks the firmware for it (pkg/agent, firmware/efivars.py); the option is not in BootOrder."""
    start, size = SIZES.starts()["ESP"]
    partition = Partition(1, start // 512, size // 512, UUID(str(_id("demo-1", "ESP"))))
    store = Edk2VarStore(str(variables))
    found = store.get_varlist()
    found.create("Boot0077").data = load_option(name, partition, path)
    found.set_boot_next(0x77)
    store.write_varstore(str(variables), found)


@pytest.mark.parametrize("trial", ["starts", "is refused"])
def test_a_boot_loader_on_trial_is_started_once_and_says_so(bench: Bench, trial: str) -> None:
    """What boxes rely on when their systemd-boot is to be replaced: BootNext, and by which file they were started."""
    keys, made = bench.keys, bench.assembled
    disk = bench.disk(f"loader-{trial[:2]}", keys.sign(made.uki), keys.sign(made.addon))
    bench.put(disk, {"EFI/BOOT/TRIALX64.EFI": bench.loader if trial == "starts" else flip(bench.loader)})
    machine = bench.machine(disk)
    start_once(machine.hardware.variables, TRIAL_NAME, TRIAL_PATH)
    with machine:
        machine.wait_for("THE-END", BOOT_TIMEOUT)
        said = machine.output()
    started = TRIAL_PATH if trial == "starts" else LOADER_PATH
    assert variables_of(said)["LoaderImageIdentifier"] == started and line_of(said) == signed_line(made)
    assert "BootNext" not in variables_of(said), "the firmware forgot it"


# --- a read-only root -------------------------------------------------------------------------------------------------

KERNELS = ("dev", "proc", "sys")
"""Mounted first in every container (runtime-spec, "Default Filesystems")."""
ROOT_LINKS = ("bin", "lib", "sbin")
"""Links into `usr` in Debian's root."""


@pytest.mark.parametrize("name", ["dhcpcd", "docker", "ntp", "sshd"])
def test_a_read_only_root_has_a_place_for_all_that_is_mounted_in_it(name: str) -> None:
    """runc can make none there: the service would start on no box, and without dhcpcd no box has a network."""
    image = built.image(f"pkg/{name}")
    config = json.loads(image.config["Labels"]["org.mobyproject.config"])
    assert config["readonly"]
    wanted = [each.split(":")[1] for each in config.get("binds", ())]
    wanted += [each.split(":")[0] for each in config.get("tmpfs", ())]
    there = set[str]()
    for diff_id in image.layers:
        with tarfile.open(built.store().blobs.path(diff_id)) as layer:
            there |= {member.name.removeprefix("./") for member in layer}
    lacking = set[str]()
    for each in (path.strip("/") for path in wanted):
        first, _, rest = each.partition("/")
        below = first in KERNELS or any(each.startswith(f"{other.strip('/')}/") for other in wanted)
        if not below and (f"usr/{first}/{rest}" if first in ROOT_LINKS else each) not in there:
            lacking.add(each)
    assert lacking == set()

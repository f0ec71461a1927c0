"""Disks that the initrd's `settle` works on: loop devices, with the programs of this machine and busybox's own.

In: sizes, what is on a disk, the signed words, what somebody types. Out: what was said, and the disk. Rules: kernels
without GPT or FAT will do: partitions are made by partx, and the ESP is mounted by mtools; who may not enlarge a
mounted file system (CAP_SYS_RESOURCE) does it unmounted. The rest is real.

    with machine(tmp_path) as box:
        disk = box.disk(300)
        assert "is settled" in box.settle("largest")
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.initrd import SCRIPT, SOURCED

MIB = 1 << 20
PATIENCE = 20
"""Seconds."""
SETTLE = SCRIPT.parent / "settle"
SMALL = "ESP_SIZE=34 LAYERS_SIZE=20 LEAST=8 ZEROS=1 SAMPLES=8 DISKS_WAIT=0 DISK_WAIT=1 ASK_WAIT=1 KEEP_WAIT=1"
"""FAT32 begins at 33 MiB."""
DOUBLES = r"""
say() { echo "$*"; }
fail() { echo "FAILED: $*"; exit 1; }
feed() { point feed; }
feed_while_writing() { :; }
feed_no_more() { :; }
is_hardware() { case " $DISKS " in *" $1 "*) ;; *) return 1 ;; esac; }
blockdev() {
    [ "$1" = --rereadpt ] || { command blockdev "$@"; return; }
    point blockdev
    partx -d "$2" 2>/dev/null
    partx -a "$2" 2>/dev/null
    true
}
mount() {
    point mount
    [ "$2" = vfat ] || { command mount "$@"; return; }
    mdir -i "$5" :: >/dev/null 2>&1 && command mount -t tmpfs -o size=33m esp "$6" && echo "$5" >$RUN/esp || return
    mcopy -i "$5" -s -n ::/'*' "$6" 2>/dev/null
    true
}
umount() {
    point umount
    [ ! -s $RUN/esp ] || { device=$(cat $RUN/esp) && rm $RUN/esp && back "$1"; } || return
    command umount "$@"
}
back() {
    mdeltree -i $device ::/'*' 2>/dev/null
    (cd "$1" && set -- * && { [ ! -e "$1" ] || mcopy -i $device -s -Q "$@" ::/; })
}
"""
"""What this machine's kernel may not have, and a `point` before each step that writes."""
STARTS = r"""
seen() { grep -q . /sys/class/block/$DISKS/*/partition 2>/dev/null; }
partition() {
    seen && disk_sizes "$DISKS" && read_table "$DISKS" && [ "$PRIMARY" = ok ] && part_device "$DISKS" "$1"
}
find_own() { :; }
mkdir -p $DISK && mount_disk && [ -d $DISK/state ] && /bin/umount $DISK && echo started
"""
"""A box with one disk, where it looks for TOWEROS; without the names that partx does not tell the kernel."""
CUTS = r"""
point() {
    passed=$(($(cat $RUN/count) + 1))
    echo $passed >$RUN/count
    [ $passed != $CUT ] || { kill -9 -$$ && sleep 9; }
}
kept() { [ -z "$LOSING" ] || /bin/cp --sparse=always $IMAGE $SYNCED; }
dd() {
    case "$*" in *of=/dev*) ;; *) command dd "$@"; return ;; esac
    point dd "$@"
    [ $(($(cat $RUN/count) + 1)) != $CUT ] || tear
    command dd "$@" && kept
}
tear() { [ -z "$TEARING" ] || truncate -s $(($(stat -c %s $SETTLING/put) / 2)) $SETTLING/put; }
sync() { point sync; [ -z "$LOSING" ] || command sync; kept; }
cp() { point cp; command cp "$@"; }
mv() { case $1 in $SETTLING*) ;; *) point mv ;; esac; command mv "$@"; }
resize2fs() {
    point resize2fs
    command resize2fs "$@" && return
    grep -q "Permission denied" $RUN/initrd.log || return
    command umount $NEW; e2fsck -f -p "$1" >/dev/null; command resize2fs "$1" 2>/dev/null; command mount "$1" $NEW
}
"""


def sh(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


@dataclass
class Disk:
    """A file, and the loop device that it is behind."""

    path: Path
    name: str = ""

    @property
    def device(self) -> str:
        return f"/dev/{self.name}"

    def attach(self) -> "Disk":
        self.name = sh("losetup", "--find", "--show", self.path).strip().removeprefix("/dev/")
        subprocess.run(["partx", "-a", self.device], capture_output=True)
        return self

    def detach(self) -> None:
        self._without_partitions()
        sh("losetup", "--detach", self.device)

    def _without_partitions(self) -> None:
        """One that is in use is refused, as a file system may be that was unmounted a moment ago."""
        end = time.monotonic() + PATIENCE
        while True:
            subprocess.run(["partx", "-d", self.device], capture_output=True)
            if not (left := sorted(Path("/sys/class/block", self.name).glob(f"{self.name}p*"))):
                return
            assert time.monotonic() < end, left
            time.sleep(0.05)

    def again(self) -> None:
        """As after a power cycle: nothing of it is in any cache."""
        self.detach()
        self.attach()

    def put(self, image: Path) -> None:
        """The contents of an image."""
        self.detach()
        sh("cp", "--sparse=always", image, self.path)
        self.attach()

    def partitions(self) -> dict[str, tuple[int, int, int]]:
        """Name -> number, first MiB, MiB: as sgdisk reads the table, and takes it for a whole one."""
        assert "No problems found" in sh("sgdisk", "--verify", self.device)
        return self.rows()

    def rows(self) -> dict[str, tuple[int, int, int]]:
        """The same of a table that may be older than the disk."""
        lines = sh("sgdisk", "--print", self.device).splitlines()
        rows = [line.split() for line in lines if line[:5].strip().isdigit()]
        return {row[6]: (int(row[0]), int(row[1]) // 2048, (int(row[2]) + 1 - int(row[1])) // 2048) for row in rows}

    def node(self, name: str) -> str:
        """The device of a partition."""
        self._without_partitions()
        sh("partx", "-a", self.device)
        return f"{self.device}p{self.rows()[name][0]}"

    def files(self, name: str, folder: Path) -> dict[str, bytes]:
        """What is in the ESP or in an ext4 partition, which is whole."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        node = self.node(name)
        if name == "ESP":
            sh("mcopy", "-i", node, "-s", "-n", "::/*", folder)
        else:
            sh("e2fsck", "-f", "-n", node)
            sh("debugfs", "-R", f"rdump / {folder}", node)
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass
class Machine:
    """Its disks, in memory, and the medium that it is started from."""

    folder: Path
    memory: Path
    disks: list[Disk] = field(default_factory=list)

    @property
    def medium(self) -> Path:
        return self.folder / "medium"

    def disk(self, mib: int) -> Disk:
        path = self.memory / f"disk-{len(self.disks)}.img"
        with path.open("wb") as stream:
            stream.truncate(mib * MIB)
        self.disks.append(Disk(path).attach())
        return self.disks[-1]

    def grow(self, disk: Disk, mib: int) -> None:
        """The same contents on a larger disk."""
        disk.detach()
        with disk.path.open("r+b") as stream:
            stream.truncate(mib * MIB)
        disk.attach()

    def settle(self, words: str, typed: str = "", cut: int = 0, work: str = "settle_disk", **values: str) -> str:
        """What is said until it is done, fails, or is cut at its `cut`-th step that writes."""
        run = self.folder / "run"
        run.mkdir(exist_ok=True)
        (run / "line").write_text(f"quiet toweros.release={0:064} toweros.box=demo-1 {words} toweros.net=dhcp\n")
        (run / "typed").write_text(typed)
        (run / "count").write_text("0\n")
        given: dict[str, object] = {"RUN": run, "HANDOVER": run, "CMDLINE": run / "line", "CONSOLE": run / "typed"}
        given |= {"MEDIUM": self.medium, "NEW": run / "new", "SETTLING": run / "settling", "TEARING": "", "LOSING": ""}
        given |= {"DISKS": " ".join(disk.name for disk in self.disks), "CUT": cut, "IMAGE": self.disks[0].path}
        given |= {"DISK": run / "disk", "EFI": run}
        lines = ["PATH=/usr/sbin:/usr/bin", *(f"{name}='{value}'" for name, value in (given | values).items())]
        whole = SOURCED.sub(lambda match: (SCRIPT.parent / match[1]).read_text(), SCRIPT.read_text())
        scripts = (whole.removesuffix("\nmain\n"), SMALL)
        program = "\n".join([*scripts, *lines, DOUBLES, CUTS, "read_command_line", work, "echo the end"])
        # A group of its own: a cut ends what runs in subshells, too.
        command = ["busybox", "sh", "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, start_new_session=True)
        if cut:
            for place in ("new", "settling/old", "disk"):
                subprocess.run(["umount", run / place], capture_output=True)
            (run / "esp").unlink(missing_ok=True)
        assert "not found" not in done.stderr and "syntax" not in done.stderr, done.stdout + done.stderr[-3000:]
        return done.stdout + done.stderr + ("" if done.returncode >= 0 else "\ncut: here")


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """A machine without a disk, and a medium with release 5."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        box = Machine(folder, Path(memory))
        lay_medium(box.medium, 5)
        try:
            yield box
        finally:
            for place in ("new", "disk"):
                subprocess.run(["umount", folder / "run" / place], capture_output=True)
            for disk in box.disks:
                disk.detach()


def lay_medium(folder: Path, release: int) -> None:
    files = {
        "boot/EFI/BOOT/BOOTX64.EFI": "loader",
        f"boot/EFI/Linux/toweros-{release}.efi": f"uki {release}",
        f"boot/EFI/Linux/toweros-{release}.efi.extra.d/release.addon.efi": f"addon {release}",
        "boot/loader/loader.conf": "timeout menu-disabled\n",
        "releases/00.json": "{}",
        "tuf/root.json": "root",
    }
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

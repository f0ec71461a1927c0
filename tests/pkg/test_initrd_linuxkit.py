"""A root with LinuxKit's own init: it mounts everything itself, and a tmpfs over /run; what is handed over is found all
the same. The initrd's own shell and that init's mounts, in a mount namespace.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.kit import rc_init
from tests.kit.initrd import initrd

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")

SHELL = "unshare --mount --propagation private busybox sh"
FIRST = """#!/bin/sh
read -r _ place _ </proc/self/mounts
echo "proc is mounted: $place"
"""
LOOK = """#!/bin/sh
cat /run/toweros/boot.json
for folder in /state /etc/toweros /etc/sysctl.d /etc/sysfs.d; do [ -d $folder ] && echo "$folder is there"; done
[ ! -e /lib/modules/1 ] || echo "modules are found"
[ -f /etc/resolv.conf ] && echo "names are asked of $(cat /etc/resolv.conf)"
grep -c ' /run/toweros tmpfs' /proc/mounts
"""
MOUNTS = rc_init.RC_INIT.replace("\tdo_hotplug\n\tip link set lo up\n", "").replace("hostname -F /etc/hostname\n", "")
BOOT = """
mount -t tmpfs run /run && mkdir -p $LAYERS $ROOT $HANDOVER/esp && mv {folder}/layer $LAYERS/base
release() {{ echo base; }}
jq() {{ echo '{{"init": "'"$init"'"}}'; }}
partition() {{ return 1; }}
umount() {{ case $2 in /dev | /sys) ;; *) busybox umount "$@" ;; esac; }}
mount_root && hand_over && leave_bare && cd / && busybox chroot $ROOT /bin/rc.init
"""


def root(folder: Path, init: dict[str, str]) -> None:
    """A layer as Alpine has it: what is mounted over, and a shell."""
    layer = folder / "layer"
    for name in ("bin", "dev", "etc", "proc", "run", "sys", "tmp", "var", "containers"):
        (layer / name).mkdir(parents=True)
    for name in ("sh", "mount", "mkdir", "cat", "grep", "cut", "ln", "readlink", "rm"):
        (layer / "bin" / name).symlink_to("busybox")
    shutil.copy2("/bin/busybox", layer / "bin")
    for name, text in init.items():
        place = layer / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(0o755)


def said(folder: Path) -> list[str]:
    values = {"ROOT": str(folder / "new"), "LAYERS": "/run/toweros/layers", "PLACE": "", "ENTRY": "toweros-7.efi"}
    work = BOOT.format(folder=folder)
    return initrd(SHELL, Path("/run/toweros"), f"STACK={folder}/stack\n{work}", **values).splitlines()


def test_what_is_handed_over_survives_a_tmpfs_over_run(tmp_path: Path) -> None:
    (tmp_path / "layer/lib/firmware").mkdir(parents=True)
    (tmp_path / "layer/usr/lib/modules/1").mkdir(parents=True)
    root(tmp_path, {"bin/rc.init": MOUNTS, "etc/init.d/010-look": LOOK})
    lines = said(tmp_path)
    assert "rc.init: this is a container" not in lines
    assert json.loads(lines[0]) == {"init": "linuxkit"}
    bound = [f"{each} is there" for each in ("/state", "/etc/toweros", "/etc/sysctl.d", "/etc/sysfs.d")]
    assert lines[1:] == [*bound, "modules are found", "names are asked of ", "1"]


@pytest.mark.parametrize(("text", "said_of"), [("nameserver 192.0.2.1", "nameserver 192.0.2.1"), ("", "")])
def test_name_servers_of_the_spec_stay(tmp_path: Path, text: str, said_of: str) -> None:
    """An empty file is what builders of images leave behind; without the link's end the agent is never started."""
    files = {"etc/resolv.conf": text, "etc/init.d/010-look": LOOK}
    root(tmp_path, {"bin/rc.init": MOUNTS, **files})
    assert f"names are asked of {said_of}" in said(tmp_path)


def test_modules_are_left_where_the_root_has_them(tmp_path: Path) -> None:
    """A kernel of LinuxKit's has them below /lib; a merged root has one /lib."""
    (tmp_path / "layer/usr/lib/modules/1").mkdir(parents=True)
    (tmp_path / "layer/lib/modules/2").mkdir(parents=True)
    root(tmp_path, {"bin/rc.init": "#!/bin/sh\n/bin/busybox ls /lib/modules\n"})
    assert said(tmp_path)[-1:] == ["2"]

"""A system as LinuxKit's people have one, small enough to boot in a test: our kernel, an init of one script, a service.

The init mounts what a LinuxKit init mounts, says what it finds, and powers off.
"""

import functools
import io
import stat
import tarfile
import zlib
from pathlib import Path

from gitops.assemble.boot import cpio, modules
from gitops.assemble.boot.cpio import Node
from gitops.assemble.tars import extract
from gitops.model import Image
from tests.kit import built
from tests.kit.images import layout, made
from tests.kit.oci import tar

SAYS = "LinuxKit-shaped init:"
INIT = f"""#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sysfs /sys; $b mount -t devtmpfs dev /dev
exec >/dev/console 2>&1
words=$($b cat /proc/cmdline)
cd /containers/services/web/rootfs/bin
same=$($b stat -c %i one two | $b uniq | $b wc -l)
echo "{SAYS} [$words] inodes: $same, note: $($b cat /etc/note)"
$b poweroff -f
"""
SPEC = """kernel: {image: "kernel:1", cmdline: "console=ttyS0 quiet panic=-1 no_timer_check note=a", tar: none}
init: ["init:1"]
services:
  - {name: web, image: "web:1", command: [/bin/one], readonly: true}
files:
  - {path: etc/note, contents: "of a file", mode: "0644"}
"""

LOAD = """#!/bin/busybox sh
b=/bin/busybox
for module in $($b cat /etc/modules.load); do $b insmod $module; done
$b mkdir -p /dev /new; $b mount -t devtmpfs dev /dev
until [ -b /dev/vda ]; do $b usleep 50000; done
for kind in squashfs erofs iso9660; do $b mount -o ro -t $kind /dev/vda /new 2>/dev/null && break; done
exec $b switch_root /new /init
"""


@functools.cache
def busybox() -> bytes:
    """The static one of pkg/init."""
    image = built.image("pkg/init")
    target = built.FOLDER / f"busybox-{image.key}"
    if not target.exists():
        assert extract([built.store().blobs.path(layer) for layer in image.layers], "usr/bin/busybox", target)
    return target.read_bytes()


def layer(content: bytes = b"#!/bin/sh\n") -> bytes:
    """A layer with a file of two names."""
    output = io.BytesIO(tar({"bin/": b"", "bin/one": content, "etc/": b""}))
    with tarfile.open(fileobj=output, mode="a") as archive:
        link = tarfile.TarInfo("bin/two")
        link.type, link.linkname = tarfile.LNKTYPE, "bin/one"
        archive.addfile(link)
    return output.getvalue()


def system(folder: Path, kernel: bytes | None = None, service: bytes | None = None) -> Path:
    """An OCI layout with `kernel:1`, `init:1` and `web:1`. `kernel`: what stands in for a kernel that nobody boots;
    `service`: the layer of `web:1`."""
    data = (built.kernel() / "kernel").read_bytes() if kernel is None else kernel
    folders = {f"{name}/": b"" for name in ("bin", "dev", "etc", "proc", "sys", "run", "tmp")}
    init = tar(
        folders
        | {"init": INIT.encode(), "bin/busybox": b"ELF" if kernel is not None else busybox(), "bin/sh": "busybox"}
    )
    ucode = b"070701" if kernel is None else b"early"
    images = {
        "kernel:1": made(
            [tar({"kernel": data, "kernel.tar": tar({"lib/modules/1/modules.dep": b""}), "ucode": ucode})]
        ),
        "init:1": made([init]),
        "web:1": made([layer() if service is None else service], config={"Cmd": ["/bin/one"]}),
    }
    return layout(folder, images)


def image_layout(folder: Path, name: str, image: Image) -> Path:
    """An OCI layout with an image that was built."""
    tars = [built.store().blobs.read(layer) for layer in image.layers]
    return layout(folder, {name: made(tars, config=image.config)})


def loader(folder: Path) -> Path:
    """An initrd that mounts the first disk and goes on with its /init."""
    nodes = modules.needed(["virtio_pci", "virtio_blk", "squashfs", "erofs", "isofs"], built.kernel() / "kernel.tar")
    nodes["init"] = Node(stat.S_IFREG | 0o755, data=LOAD.encode())
    nodes["bin/busybox"] = Node(stat.S_IFREG | 0o755, data=busybox())
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    target = folder / "loader.img"
    target.write_bytes(packer.compress(cpio.archive(nodes)) + packer.flush())
    return target

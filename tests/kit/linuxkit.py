"""A system as LinuxKit's people have one, small enough to boot in a test: our kernel, an init of one script, a service.

The init mounts what a LinuxKit init mounts, says what it finds, and powers off.
"""

import functools
import io
import tarfile
from pathlib import Path

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

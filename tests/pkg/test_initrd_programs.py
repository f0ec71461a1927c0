"""What the initrd calls is there, with every library: in its own root, where there is nothing else."""

import subprocess

import pytest

from gitops.assemble.toolbox import Toolbox
from tests.kit import built

PROGRAMS = ("veritysetup", "dmsetup", "e2fsck", "jq", "zstd", "blkid", "mkfs.ext4", "mkfs.fat", "resize2fs")


@pytest.mark.e2e
def test_every_program_starts_where_nothing_but_the_initrd_is() -> None:
    store, image = built.store(), built.image("pkg/initrd")
    Toolbox.unpack(store, image)
    root = store.paths.toolbox / image.key
    for name in PROGRAMS:
        done = subprocess.run(["chroot", root, f"/usr/bin/{name}", "--version"], capture_output=True, timeout=60)
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode < 126 and "shared librar" not in said, f"{name}: {said}"

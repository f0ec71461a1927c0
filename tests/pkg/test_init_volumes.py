"""LinuxKit's volumes as init makes them: real mounts, on folders that stand for a box."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.kit.init import INIT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")


def test_what_is_bound_has_the_image_and_takes_writes_only_where_it_is_not_bound_read_only(tmp_path: Path) -> None:
    """As `assemble/root/tree.py` lays them out; a read-only one has the same folders, and binds that say `ro`."""
    for name in ("lower", "tmp", "merged"):
        (tmp_path / "containers/volumes/data" / name).mkdir(parents=True)
    (tmp_path / "containers/volumes/data/lower/of-the-image").touch()
    for name in ("written", "read"):
        (tmp_path / name).mkdir()
    text = (INIT / "boot").read_text().replace("\nmain\n", "\n").replace("/usr/lib/toweros/common.sh", "/dev/null")
    script = f"""{text}
    WRITABLE=size=1m CONTAINERS={tmp_path}/containers
    say() {{ echo "$*"; exit 1; }}
    prepare_volumes
    merged=$CONTAINERS/volumes/data/merged
    mount -o bind $merged {tmp_path}/written && mount -o bind $merged {tmp_path}/read
    mount -o remount,bind,ro {tmp_path}/read  # as runc does it
    touch {tmp_path}/written/new && ls {tmp_path}/read
    touch {tmp_path}/read/newer 2>/dev/null || echo read-only
    ls $CONTAINERS/volumes/data/lower
    """
    command = ["unshare", "-m", "busybox", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["new", "of-the-image", "read-only", "of-the-image"], done

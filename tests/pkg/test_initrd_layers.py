"""How many layers a box mounts over each other: the initrd's own shell, the kernel that runs this, and real mounts."""

from pathlib import Path

import pytest

from gitops.assemble.fits import LAYERS_FILE, OLD_LAYERS, OVERLAY_LAYERS
from tests.kit.initrd import SCRIPT, SHELLS, initrd

MOUNT = 'mount() { busybox mount "$@"; }\n'
"""As in the initrd: util-linux's would take the newer system calls, which have no page of options."""


@pytest.mark.e2e
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("count", [1, 2, OLD_LAYERS, OLD_LAYERS + 1, 120, OVERLAY_LAYERS])
def test_as_many_layers_as_overlayfs_takes_are_mounted_over_each_other(tmp_path: Path, shell: str, count: int) -> None:
    """With names as layers have them; and once more over that, as a container that writes has it."""
    names = lay(tmp_path / "layers", count)
    (tmp_path / "root").mkdir()
    (tmp_path / "box").mkdir()
    work = f"""{MOUNT}stack {tmp_path}/root {" ".join(names)}
    mount -t tmpfs box {tmp_path}/box && mkdir {tmp_path}/box/upper {tmp_path}/box/work {tmp_path}/box/rootfs
    options=lowerdir={tmp_path}/root,upperdir={tmp_path}/box/upper,workdir={tmp_path}/box/work
    mount -t overlay -o $options overlay {tmp_path}/box/rootfs
    cd {tmp_path}/box/rootfs && cat shared && ls | grep -c own-"""
    said = initrd(f"unshare -m {shell}", tmp_path, work, LAYERS=str(tmp_path / "layers"))
    assert said.split() == [f"{count - 1}", f"{count}"]  # the last covers those before, and hides none of them


@pytest.mark.e2e
@pytest.mark.parametrize("shell", SHELLS)
def test_a_second_stack_has_nothing_of_the_first(tmp_path: Path, shell: str) -> None:
    names = lay(tmp_path / "layers", 5)
    for target in ("a", "b"):
        (tmp_path / target).mkdir()
    work = f"{MOUNT}stack {tmp_path}/a {' '.join(names)}; stack {tmp_path}/b {names[3]} {names[1]}\n"
    work += f"cat {tmp_path}/a/shared {tmp_path}/b/shared; ls {tmp_path}/b"
    said = initrd(f"unshare -m {shell}", tmp_path, work, LAYERS=str(tmp_path / "layers"))
    assert said.split() == ["4", "1", "own-1", "own-3", "shared"]


@pytest.mark.parametrize("shell", SHELLS)
def test_tables_of_many_layers_are_no_argument_that_the_kernel_refuses(tmp_path: Path, shell: str) -> None:
    """execve(2) takes 128 KiB: beyond some 500 layers dmsetup would not even start."""
    fakes = """verified() { :; }
    losetup() { [ "$1" = -f ] && echo /dev/loop$number; return 0; }
    dmsetup() { /bin/echo "$3" | tr ';' '\\n'; }
    number=0; while [ $number -lt 1200 ]; do number=$((number + 1))
        verify_layer "$(printf %064x $number)" 4096
    done; open_tables; open_tables"""
    tables = initrd(shell, tmp_path, fakes).splitlines()
    assert [table.split(",")[0] for table in tables] == [f"{number:064x}" for number in range(1, 1201)]


def test_the_package_says_what_its_init_can() -> None:
    """The controller goes by this file: an initrd without it is an older one."""
    assert int((SCRIPT.parent / "most-layers").read_text()) == OVERLAY_LAYERS
    assert f"COPY most-layers /image/{LAYERS_FILE}\n" in (SCRIPT.parent / "Dockerfile").read_text()


def lay(folder: Path, count: int) -> list[str]:
    """Layers by their names, the lowest first: each has a file of its own, and one that all have."""
    names = [f"{number:064x}" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        (folder / name / f"own-{number}").touch()
        (folder / name / "shared").write_text(f"{number}\n")
    return names

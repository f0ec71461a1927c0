"""The hash tree against veritysetup itself."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gitops.errors import AssembleError
from gitops.model import BLOCK
from gitops.store.files.verity import append_tree, hash_tree, root_hash


def a_file(path: Path, blocks: int) -> Path:
    path.write_bytes(random.Random(blocks).randbytes(blocks * BLOCK))
    return path


@pytest.mark.parametrize("blocks", [1, 2, 127, 128, 129, 16384, 16385, 20000])
def test_root_and_tree_are_those_of_veritysetup(tmp_path: Path, blocks: int) -> None:
    if not shutil.which("veritysetup"):
        pytest.skip("veritysetup is not installed")
    data, theirs = a_file(tmp_path / "data", blocks), tmp_path / "theirs"
    shutil.copyfile(data, theirs)
    size = blocks * BLOCK
    command = ["veritysetup", "format", "--no-superblock", "--salt=-", f"--hash-offset={size}", theirs, theirs]
    command.insert(2, f"--data-blocks={blocks}")
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    match = re.search(r"Root hash:\s+([0-9a-f]{64})", said)
    assert match
    assert root_hash(data) == match[1]
    assert append_tree(data) == match[1]
    assert data.read_bytes().rstrip(b"\0") == theirs.read_bytes().rstrip(b"\0")


def test_one_flipped_bit_changes_the_root(tmp_path: Path) -> None:
    data = a_file(tmp_path / "data", 300)
    before, _ = hash_tree(data)
    changed = bytearray(data.read_bytes())
    changed[200 * BLOCK + 7] ^= 1
    data.write_bytes(changed)
    assert root_hash(data) != before


def test_one_zero_block_is_its_own_root(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(bytes(BLOCK))
    assert hash_tree(data) == ("ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7", b"")


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK + 1])
def test_only_whole_blocks_have_a_root(tmp_path: Path, size: int) -> None:
    data = tmp_path / "data"
    data.write_bytes(bytes(size))
    with pytest.raises(AssembleError, match="whole number"):
        root_hash(data)

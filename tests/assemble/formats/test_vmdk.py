"""The content id of a VMDK is ours, however few digits qemu-img drew."""

from pathlib import Path

import pytest

from gitops.assemble.formats.steps.virtual import name_content
from gitops.errors import AssembleError

REST = b'\nparentCID=ffffffff\ncreateType="streamOptimized"\n'


@pytest.mark.parametrize("drawn", [b"292e4f", b"0", b"43b035bc"])
def test_one_with_fewer_digits_is_the_same_in_the_end(tmp_path: Path, drawn: bytes) -> None:
    disk = tmp_path / "disk.vmdk"
    start = b"KDMV" + bytes(508) + b"# Disk DescriptorFile\nversion=1\nCID=" + drawn + REST
    disk.write_bytes(start + bytes(8192 - len(start)) + b"sectors")
    name_content(disk, "0123abcd")
    text = disk.read_bytes()
    assert text[512:].rstrip(b"sectors").rstrip(b"\0") == b"# Disk DescriptorFile\nversion=1\nCID=0123abcd" + REST
    assert len(text) == 8199 and text.endswith(b"\0sectors")


def test_none_at_all_is_told(tmp_path: Path) -> None:
    (tmp_path / "disk.vmdk").write_bytes(b"KDMV\nparentCID=ffffffff\n" + bytes(9000))
    with pytest.raises(AssembleError, match="content id"):
        name_content(tmp_path / "disk.vmdk", "0123abcd")

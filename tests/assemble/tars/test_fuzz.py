"""Whatever a tar is, it has one tree or none: two readings of it never differ. `make soak` goes on for ten minutes."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from gitops.assemble.layers import IMAGE, make_layer
from gitops.assemble.tars.canonical import write
from gitops.assemble.tars.reader import reading
from gitops.errors import AssembleError
from tests.kit import built
from tests.kit.mounted import differences, has_erofs, seen
from tests.kit.tars import rich_tars, some_tars

FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def canonical(file: Path) -> bytes:
    output = io.BytesIO()
    with reading(file) as contents:
        write(contents, output)
    return output.getvalue()


@settings(max_examples=400, deadline=None, suppress_health_check=FIXTURES)
@given(data=some_tars() | rich_tars())
def test_a_canonical_tar_is_its_own_canonical_tar(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "layer.tar"
    file.write_bytes(data)
    try:
        once = canonical(file)
    except AssembleError:
        return
    file.write_bytes(once)
    assert canonical(file) == once


@pytest.mark.e2e
@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURES)
@given(data=some_tars())
def test_what_is_read_is_what_mkfs_erofs_makes_of_it(data: bytes, tmp_path: Path) -> None:
    """`make_layer` compares every path and byte; only a reading of the tar may refuse it."""
    file = tmp_path / "layer.tar"
    file.write_bytes(data)
    try:
        with reading(file) as contents:
            alone = "" in contents.opaque
    except AssembleError:
        return
    if not alone:
        with built.toolbox().workspace() as work:
            make_layer(work, file)


@pytest.mark.e2e
@pytest.mark.skipif(not has_erofs(), reason="the kernel of this machine has no EROFS")
@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURES)
@given(data=rich_tars())
def test_what_is_read_is_what_the_kernel_sees_of_it(data: bytes, tmp_path: Path) -> None:
    """Of all that Python writes: owners, times, attributes, devices, links, names; by another reader than ours."""
    file = tmp_path / "layer.tar"
    file.write_bytes(data)
    try:
        with reading(file) as contents, built.toolbox().workspace() as work:
            make_layer(work, file)
            assert differences(contents, seen(work.path(IMAGE))) == []
    except AssembleError as error:
        assert not re.search("mkfs.erofs|in the image", error.message)  # only a reading may refuse a tar

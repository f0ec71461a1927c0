"""The build context: the same for every builder, whoever runs it."""

import os
from pathlib import Path

from gitops.builders.context import write_context
from gitops.fleet.packages.lockfile import dump_lock, fetched
from gitops.fleet.packages.wanted import parse_wanted
from gitops.store import Store
from tests.kit.fleets import PACKAGES, load


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mode for path in folder.rglob("*")}


def test_the_umask_of_the_builder_does_not_show(tmp_path: Path) -> None:
    store, made = Store.open(tmp_path / "s"), []
    tree = PACKAGES.with_files({"pkg/hello/a/b/file": "x\n"})
    for umask in (0o022, 0o077):
        before = os.umask(umask)
        try:
            folder = tmp_path / f"{umask}"
            folder.mkdir()
            write_context(store, load(tree)["pkg/hello"], tree, folder)
        finally:
            os.umask(before)
        made.append(modes(folder))
    assert made[0] == made[1] and {"a", "a/b", "debs", "wheels"} <= set(made[0])


def test_a_file_that_was_fetched_is_there_by_its_name(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s")
    wanted = f"fetch https://files.example/get?id=7 sha256:{store.blobs.put(b'modem').sha256} as modem.bin\n"
    (asked,) = parse_wanted(wanted.encode(), "", []).fetches
    lock = dump_lock(wanted.encode(), [fetched(asked, 5)]).decode()
    tree = PACKAGES.with_files({"pkg/hello/packages.in": wanted, "pkg/hello/packages.lock": lock})
    (tmp_path / "context").mkdir()
    write_context(store, load(tree)["pkg/hello"], tree, tmp_path / "context")
    assert (tmp_path / "context/fetched/modem.bin").read_bytes() == b"modem"
    assert (tmp_path / "context/fetched").stat().st_mode & 0o777 == 0o755
    (tmp_path / "other").mkdir()
    write_context(store, load(PACKAGES)["pkg/hello"], PACKAGES, tmp_path / "other")
    assert not (tmp_path / "other/fetched").exists(), "`COPY . /` gives the same layer as before"

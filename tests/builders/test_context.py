"""The build context: the same for every builder, whoever runs it."""

import os
from pathlib import Path

from gitops.builders.context import write_context
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

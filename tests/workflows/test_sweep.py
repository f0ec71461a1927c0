"""Commit after commit leaves a store that does not grow, but for Git's own history and the database's rows."""

import time
from pathlib import Path

import pytest

from tests.kit.site import Site

# Full at the fourth commit: after sixteen there were as many files as then, and as many bytes.
COMMITS, WARM = 7, 4


def files(site: Site) -> dict[Path, int]:
    root = site.store.paths.root
    found = (path for path in root.rglob("*") if path.is_file())
    kept = (path for path in found if ".git" not in str(path) and "toweros.db" not in path.name)
    return {path.relative_to(root): path.stat().st_size for path in kept}


def test_commit_after_commit_leaves_no_more_files_than_the_first_few(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SUPERSEDED_STAYS", "SMALL_STAYS"):
        monkeypatch.setattr(f"gitops.publish.folder.{name}", 0)
    patient = Site(site.folder, site.remote, site.settings.model_copy(update={"grace": 0}))
    counts, sizes = [], []
    for number in range(COMMITS):
        patient.commit({"pkg/hello/file": f"hello {number}\n" * 100})
        for _ in range(2):  # the canary, then the others
            patient.run()
            for box in ("a", "b", "c"):
                patient.report(box)
        time.sleep(0.01)  # older than no seconds at all
        patient.run()
        counts.append(len(files(patient)))
        sizes.append(sum(files(patient).values()))
    assert max(counts[WARM:]) <= max(counts[:WARM]), sorted(map(str, files(patient)))
    assert max(sizes[WARM:]) <= max(sizes[:WARM]) + 4096

"""A remote with one commit, and a source that follows it."""

from pathlib import Path

import pytest

from gitops.source import Access, GitSource
from tests.kit.remote import Remote
from tests.kit.trust import following


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    made = Remote(tmp_path)
    (made.work / "fleet.yaml").write_text("source: {branch: main}\n")
    made.commit("one")
    return made


@pytest.fixture
def source(remote: Remote, tmp_path: Path) -> GitSource:
    return following(Access(str(remote.bare)), tmp_path / "state")

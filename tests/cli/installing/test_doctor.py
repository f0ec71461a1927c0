"""`toweros doctor` and `toweros docs`, as somebody sees them who has just installed."""

import json
from pathlib import Path

import pytest

from gitops.errors import TowerosError
from tests.kit.console import toweros


def test_doctor_fails_by_its_exit_code_and_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = toweros("doctor", "--for", "server", "--state", tmp_path / "state")
    assert done.exit_code == 1
    assert "apt-get install --no-install-recommends zstd" in done.stderr
    rows = json.loads(toweros("doctor", "--for", "server", "--state", tmp_path / "state", "-o", "json").stdout)
    assert {"check", "state", "found", "fix"} == set(rows[0])
    assert any(row["check"] == "zstd" and row["state"] == "missing" for row in rows)


def test_docs_prints_a_page_and_names_them_all() -> None:
    assert "settings" in toweros("docs").stdout.split()
    for name in ("settings", "docs/settings.md", "settings.md#feeds"):
        assert toweros("docs", name).stdout.startswith("# The controller's settings")
    assert "adr/" not in toweros("docs").stdout
    done = toweros("docs", "../../../etc/passwd")
    assert isinstance(done.exception, TowerosError) and "there is no page" in done.exception.message

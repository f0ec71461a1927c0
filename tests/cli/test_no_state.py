"""A verb that says or changes what is known makes no state folder where there is none: a typing error in `--state` is
told, not obeyed."""

from pathlib import Path

import pytest

from gitops.errors import TowerosError
from tests.kit.console import toweros

WHY = ("--why", "x")
KNOWN = [
    ("status",), ("events",), ("scan",), ("backup", "b.tar"), ("resume", "--all"), ("suspend", "--all", *WHY),
    ("retry", "demo-1", *WHY), ("box", "image", "demo-1"), ("box", "adopt"), ("box", "enroll"),
    ("box", "revoke", "demo-1"), ("box", "wipe", "demo-1", *WHY), ("box", "accept-dbx", "demo-1"), ("cache", "ls"),
    ("cache", "deltas"), ("cache", "clean", "--deltas"),
    ("cache", "export", "x", "--outfile", "x.tar"), ("cache", "rm", "x"), ("image", "--role", "vm"),
    ("vm", "run", "demo-1"), ("pkg", "push", "--registry", "127.0.0.1:1"), ("rollout", "status"),
    ("rollout", "pause", *WHY), ("rollout", "resume"), ("rollout", "abort", *WHY), ("rollout", "promote", "1", *WHY),
    ("bundle", "reports", "x"), ("store", "copy"), ("logs", "demo-1"), ("notify", "test", "ops"),
]  # fmt: skip
ELSE = [
    ("sbom", "demo-1"), ("verify", "demo-1"), ("security", "status"), ("plan",), ("build",), ("cache", "clean"),
    ("validate",), ("lock",), ("box", "ssh", "demo-1"), ("keys", "status"), ("inputs", "import", "x"),
    ("inputs", "export", "x"), ("cache", "import", "x"),
    ("image", "import", "x"), ("restore", "x.tar"), ("assemble", "x.yml"),
    ("bundle", "make", "demo-1", "--to", "x"), ("box", "secret", "demo-1", "s"), ("upgrade",), ("verify", "--record"),
    ("rollback", "demo-1", *WHY), ("keys", "rotate", "x"), ("forecast",),
]  # fmt: skip
"""These say something else first, or have nothing to say."""


@pytest.mark.parametrize("verb", ["run", "apply"])
def test_a_controller_without_a_fleet_repo_listens_nowhere_and_leaves_nothing(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says which file is missing before it makes a state folder where the settings point by default."""
    monkeypatch.chdir(tmp_path)
    done = toweros(verb, "--state", tmp_path / "state")
    assert done.exit_code == 1 and isinstance(done.exception, TowerosError)
    assert done.exception.message == "no fleet repo is named" and "toweros.toml" in done.exception.hint
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "toweros.toml"
    file.write_text(f'repository = "{tmp_path}/none.git"\nstate = "typo"\nkeys = "keys"\n')
    return file


@pytest.mark.parametrize("words", KNOWN, ids=" ".join)
def test_no_state_is_told_and_none_is_made(config: Path, words: tuple[str, ...]) -> None:
    done = toweros(*words, "--config", config)
    assert done.exit_code == 1 and isinstance(done.exception, TowerosError), done.output
    assert done.exception.message == f"{config.parent / 'typo'}: no state here" and "--state" in done.exception.hint
    assert [*config.parent.iterdir()] == [config]


@pytest.mark.parametrize("words", ELSE, ids=" ".join)
def test_none_is_made_on_the_way_to_another_answer(config: Path, words: tuple[str, ...]) -> None:
    toweros(*words, "--config", config)
    assert [*config.parent.iterdir()] == [config]

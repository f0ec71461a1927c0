"""`toweros box image --format iso` and `toweros image --role`: what makes no sense is told before anything is made."""

from pathlib import Path

import pytest

from gitops.errors import TowerosError
from tests.kit.console import toweros
from tests.kit.published import kit


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = kit(tmp_path)
    config = tmp_path / "toweros.toml"
    config.write_text(f'repository = "{tmp_path}"\nstate = "{made.store.paths.root}"\nkeys = "{tmp_path / "keys"}"\n')
    monkeypatch.chdir(tmp_path)
    return config


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--format", "iso", "--state-size", "64"), "a medium has no STATE and no TOWEROS to give sizes to"),
        (("--out", "b.iso", "--layers-size", "64"), "a medium has no STATE and no TOWEROS to give sizes to"),
        (("--out", "b.img", "--with-key"), "--with-key and --install are for a medium"),
        (("--format", "raw", "--out", "b.qcow2"), "b.qcow2 does not end as a raw disk does"),
        (("--out", "b.vmdk"), "b.vmdk would not be what its name says"),
        (("--format", "raw", "--out", "b.iso"), "b.iso would not be what its name says"),
        (("--format", "qcow2", "--out", "b.img"), "b.img does not end as a qcow2 disk does"),
        (("--format", "iso"), "demo-9 has no published release"),
        (("--format", "iso", "--with-key"), "demo-9 has no published release"),
    ],
)
def test_what_makes_no_sense_for_a_box_is_told(config: Path, words: tuple[str, ...], why: str) -> None:
    done = toweros("box", "image", "demo-9", *words, "--config", config)
    assert done.exit_code and isinstance(done.exception, TowerosError)
    assert why in done.exception.message and done.exception.hint
    assert not [path for path in config.parent.iterdir() if path.name.startswith(("demo-9", "b."))]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "which role is it?"),
        (("--role", "vm"), "nothing is deployed yet"),
        (("--role", "vm", "import", "x"), "--role and --out are for a medium"),
    ],
)
def test_what_makes_no_sense_for_a_role_is_told(config: Path, words: tuple[str, ...], why: str) -> None:
    options = () if "import" in words else ("--config", config)
    done = toweros("image", *words, *options)
    assert done.exit_code and isinstance(done.exception, TowerosError) and why in done.exception.message
    assert not [*config.parent.glob("*.iso")]

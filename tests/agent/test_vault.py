"""What only a box may know is laid out for its services, and sealed where there is a TPM; whatever is cut or lost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from toweros_agent.tpm import vault
from toweros_agent.tpm.asking import Tpm
from toweros_agent.tpm.vault import Vault

from tests.kit.soft_tpm import SoftTpm

WORDS = b"correct horse battery staple\n"


@dataclass
class Box:
    """`disk` is its TOWEROS, `run` the memory of one boot."""

    root: Path
    tpm: Callable[[], Tpm]
    said: list[str] = field(default_factory=list)
    boots: int = 0

    def bring(self, name: str, value: bytes = WORDS) -> None:
        """What `toweros box secret` does on the box."""
        (self.root / "disk").mkdir(exist_ok=True)
        (self.root / "disk" / name).write_bytes(value)

    def boot(self) -> Vault:
        self.boots += 1
        made = Vault(self.root / "disk", self.root / f"run{self.boots}", self.tpm, self.said.append)
        made.settle()
        return made

    def laid_out(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.root / f"run{self.boots}").glob("*")}

    def on_disk(self) -> bytes:
        return b"".join(path.read_bytes() for path in (self.root / "disk").iterdir())


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[SoftTpm]:
    made = SoftTpm(tmp_path / "tpm")
    yield made
    made.stop()


@pytest.fixture
def box(tmp_path: Path, chip: SoftTpm) -> Box:
    return Box(tmp_path, chip.asked)


def test_a_secret_is_sealed_and_found_again_by_the_next_boot(box: Box) -> None:
    box.bring("site")
    box.bring("pem", b"k" * 9000)
    vault = box.boot()
    assert box.laid_out() == {"site": WORDS, "pem": b"k" * 9000} and not vault.why
    assert WORDS.strip() not in box.on_disk() and b"kkkk" not in box.on_disk()
    assert not (box.root / "disk" / "site").exists()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (box.root / "run1").iterdir())
    box.boot()
    assert box.laid_out()["site"] == WORDS
    box.bring("site", b"another\n")  # while it runs
    vault = box.boot()
    vault.settle()
    assert box.laid_out()["site"] == b"another\n" and "site is sealed" in box.said[-1]


def test_without_a_tpm_it_stays_as_it_came(tmp_path: Path) -> None:
    box = Box(tmp_path, lambda: Tpm(tmp_path / "none"))
    box.bring("site")
    assert not box.boot().why and box.laid_out() == {"site": WORDS}
    assert box.on_disk() == WORDS


def test_a_tpm_that_hangs_is_asked_again_without_a_restart(
    box: Box, chip: SoftTpm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could reach a box whose only way is by air."""
    box.bring("site")
    box.boot()
    box.tpm = lambda: chip.asked(0.5)
    chip.hang()
    held = box.boot()
    assert "toweros box secret" in held.why and "site" in held.why and box.laid_out() == {}
    box.bring("other")  # what comes meanwhile is of use at once
    held.settle()
    assert box.laid_out() == {"other": WORDS} and (box.root / "disk" / "other").exists()
    chip.hang(goes_on=True)
    monkeypatch.setattr(vault, "AGAIN", 0)
    held._next = 0.0
    held.settle()
    assert box.laid_out() == {"other": WORDS, "site": WORDS} and not held.why


def test_another_board_says_which_secrets_it_lacks_and_takes_them_again(box: Box, tmp_path: Path) -> None:
    box.bring("site")
    box.boot()
    other = SoftTpm(tmp_path / "other")
    try:
        box.tpm = other.asked
        assert "the secret site is not here" in box.boot().why and box.laid_out() == {}
        box.bring("site")
        assert not box.boot().why and box.laid_out() == {"site": WORDS}
    finally:
        other.stop()


def test_a_board_that_was_away_for_repair_opens_what_it_sealed(box: Box, chip: SoftTpm, tmp_path: Path) -> None:
    box.bring("site")
    box.boot()
    other = SoftTpm(tmp_path / "other")
    try:
        box.tpm = other.asked
        for _ in range(2):
            assert box.boot().why and box.laid_out() == {}
    finally:
        other.stop()
    box.tpm = chip.asked
    assert not box.boot().why and box.laid_out() == {"site": WORDS}


def test_what_is_damaged_or_no_secret_costs_no_other_one(box: Box) -> None:
    box.bring("site")
    box.bring("sim", b"4711")
    box.boot()
    path = box.root / "disk" / "sim.sealed"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    for name in (".site.new", "NO name", "x" * 99):
        box.bring(name)
    (box.root / "disk" / "folder").mkdir()
    box.bring("huge", b"h" * 99999)
    held = box.boot()
    assert held.why and box.laid_out() == {"site": WORDS}


def test_a_cut_before_the_plain_one_went_leaves_both_and_the_plain_one_counts(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.bring("site")

    def cut(path: Path) -> None:
        raise OSError("cut")

    with monkeypatch.context() as patch:
        patch.setattr(vault, "_overwrite", cut)
        assert "cut" in box.boot().why
    assert (box.root / "disk" / "site").exists() and (box.root / "disk" / "site.sealed").exists()
    box.boot()
    assert box.laid_out() == {"site": WORDS} and WORDS.strip() not in box.on_disk()

"""Who can write a backup is not yet the controller: a restore takes what one with our keys has signed."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gitops.errors import SignError, StoreError
from gitops.model import canonical, sha256
from gitops.sign import keys
from gitops.workflows.safekeeping import archive
from gitops.workflows.safekeeping.backup import Backup
from gitops.workflows.safekeeping.restore import Restore
from gitops.workflows.safekeeping.seal import sign
from tests.kit.published import published
from tests.kit.site import Site

NOW = 1_790_000_000


@pytest.fixture
def made(site: Site) -> Path:
    site.run()
    return Backup(site.store, site.settings.keys).write(site.folder / "toweros.backup", NOW).file


def restores(site: Site, file: Path, *, unsigned: bool = False, keys_: Path | None = None) -> Site:
    """On a new machine."""
    new = {"state": site.folder / "new", "keys": keys_ or site.settings.keys}
    other = Site(site.folder, site.remote, site.settings.model_copy(update=new))
    Restore(other.settings).take(file, replace=False, now=NOW, unsigned=unsigned)
    return other


def refused(site: Site, file: Path, why: str, *, keys_: Path | None = None) -> str:
    """The hint."""
    with pytest.raises(StoreError, match=why) as caught:
        restores(site, file, keys_=keys_)
    assert not (site.folder / "new").exists(), "nothing is touched"
    return caught.value.hint


def again(file: Path, member: Callable[[str], bytes] | None, **changes: object) -> Path:
    """Somebody who may write the backup puts another list, or another signature, into it: all digests are true."""
    head, _ = archive.read_head(file)
    with tarfile.open(file) as tar:
        sources: dict[str, archive.Source] = {name: tar.extractfile(name).read() for name in head.files}  # type: ignore[union-attr]
    with tarfile.open(file) as tar:
        own = tar.extractfile(archive.SIGNATURE).read()  # type: ignore[union-attr]
    new = archive.Head(**{**vars(head), **changes})  # type: ignore[arg-type]
    changed = file.with_name("changed.backup")
    archive.write(changed, new, sources, (lambda _: own) if member is None else member)
    return changed


def test_one_that_was_changed_and_whose_digests_are_true_again_is_refused(site: Site, made: Path) -> None:
    hint = refused(site, again(made, None, revision="main@sha1:" + "0" * 40), "has signed: it was changed")
    assert "somebody has changed" in hint


@pytest.mark.parametrize("where", ["signature", "list", "file"])
def test_a_flipped_byte_anywhere_is_refused(site: Site, made: Path, where: str) -> None:
    whole = made.read_bytes()
    head, _ = archive.read_head(made)
    at = {
        "signature": whole.index(b'"signature":"') + 20,
        "list": whole.index(b'"folder":"') + 12,
        "file": whole.index(b"SQLite format 3") + 5000,
    }[where]
    other = b"0" if whole[at : at + 1] != b"0" else b"1"
    made.write_bytes(whole[:at] + other + whole[at + 1 :])
    with pytest.raises(StoreError, match=r"changed|damaged"):
        restores(site, made)
    assert not [*(site.folder / "new").glob("*")] and head.files


def test_one_of_somebody_else_is_refused_and_says_whose_keys_are_missing(
    site: Site, made: Path, tmp_path: Path
) -> None:
    keys.init(tmp_path / "others", b"for tests only")
    foreign = again(made, sign(tmp_path / "others"))
    assert "--unsigned" in refused(site, foreign, f"made with other keys than {site.settings.keys} has")
    for nonsense in (b"", b"{}", b"\xff", b"[" * 4000, canonical({"key": "", "signature": ""})):
        refused(site, again(made, lambda _, nonsense=nonsense: nonsense), "nobody has signed|other keys")  # type: ignore[misc]


@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_one_that_is_cut_short_is_refused(site: Site, made: Path, part: float) -> None:
    whole = made.read_bytes()
    made.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(StoreError, match="cut short"):
        restores(site, made)
    assert not [*(site.folder / "new").glob("*")]


def test_an_older_one_that_nobody_signed_is_taken_when_somebody_says_so(
    site: Site, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = published(site.settings.state)
    with monkeypatch.context() as older:
        older.setattr(archive, "FORMAT", 1)
        Backup(site.store, None).write(made, NOW)
    with tarfile.open(made) as tar:
        assert b'"format":1' in tar.extractfile(tar.next()).read()  # type: ignore[arg-type,union-attr]
        assert archive.SIGNATURE not in tar.getnames()
    hint = refused(site, made, "nobody has signed")
    assert "--unsigned" in hint
    assert published(restores(site, made, unsigned=True).settings.state) == before


def test_the_keys_come_first_or_the_public_half_alone(site: Site, made: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "keys/builder.json" in refused(site, made, "nothing proves who made", keys_=empty)
    (empty / keys.BUILDER).write_bytes((site.settings.keys / keys.BUILDER).read_bytes())
    assert restores(site, made, keys_=empty).settings.state.is_dir()
    with pytest.raises(SignError, match=r"nothing signs the backup: .* has no builder.pem") as caught:
        Backup(site.store, empty).write(site.folder / "another.backup", NOW)
    assert "--unsigned" in caught.value.hint and not (site.folder / "another.backup").exists()


def test_one_from_before_a_rotation_of_the_key_is_taken_while_the_old_one_signs_along(site: Site, made: Path) -> None:
    folder = site.settings.keys
    keys.rotate_builder(folder)
    assert restores(site, made).settings.state.is_dir()
    (folder / "builder.old.pem").unlink()
    digest = sha256(made.read_bytes())
    with pytest.raises(StoreError, match="other keys"):
        Restore(site.settings).take(made, replace=True, now=NOW)
    assert sha256(made.read_bytes()) == digest

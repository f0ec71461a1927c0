"""A file that somebody named is whole or as it was, whatever ends the writing; a folder is one process's at a time."""

import stat
import threading
from pathlib import Path

import pytest

from gitops.files.whole import beside, held, whole


@pytest.mark.parametrize("end", [KeyboardInterrupt, OSError, ValueError])
def test_who_is_stopped_in_the_middle_leaves_what_was_there(tmp_path: Path, end: type[BaseException]) -> None:
    target = tmp_path / "image.tar"
    target.write_bytes(b"before")
    with pytest.raises(end), whole(target) as stream:
        stream.write(b"half")
        raise end
    assert target.read_bytes() == b"before" and [*tmp_path.iterdir()] == [target]


def test_two_who_write_one_file_do_not_mix_and_the_later_one_counts(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 240)
    with whole(target) as first:
        first.write(b"first ")
        with whole(target) as second:
            second.write(b"second")
        assert target.read_bytes() == b"second"
        first.write(b"and whole")
    assert target.read_bytes() == b"first and whole" and len([*tmp_path.iterdir()]) == 1


def test_a_link_stays_a_link_a_device_a_device_and_modes_are_the_users(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "image")
    for name in ("link", "/dev/null"):
        with whole(tmp_path / name) as stream:
            stream.write(b"x")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "disk" / "image").read_bytes() == b"x"
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    (tmp_path / "as usual").write_bytes(b"")
    assert (tmp_path / "disk" / "image").stat().st_mode == (tmp_path / "as usual").stat().st_mode


def test_what_cannot_be_written_is_named_by_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, whole(tmp_path / "gone" / "image"):
        pass
    assert caught.value.filename == str(tmp_path / "gone" / "image")
    with pytest.raises(IsADirectoryError) as other, beside(tmp_path) as new:
        new.write_bytes(b"x")
    assert other.value.filename in (str(tmp_path), str(new)) and not new.exists()


def test_a_folder_is_one_s_at_a_time_or_all_of_whom_share_it(tmp_path: Path) -> None:
    order = list[str]()

    def waits() -> None:
        with held(tmp_path):
            order.append("second")

    with held(tmp_path, shared=True), held(tmp_path, shared=True, wait=False) as also:
        assert also
        with held(tmp_path, wait=False) as alone:
            assert not alone
        thread = threading.Thread(target=waits)
        thread.start()
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]

"""Layers over each other, as engines unpack them; and images that are not what their tar was."""

from pathlib import Path

import pytest

from gitops.assemble.layers import IMAGE, check_tar, make_layer
from gitops.assemble.tars import extract, files_of, folder_for_link, tree_of
from gitops.assemble.tars.compare import check_image
from gitops.assemble.tars.reader import reading
from gitops.errors import AssembleError
from tests.kit import built
from tests.kit.tars import DIR, FIFO, HARD, LINK, member, pax


def layers(folder: Path, *tars: bytes) -> list[Path]:
    files = [folder / f"{number}.tar" for number in range(len(tars))]
    for file, tar in zip(files, tars, strict=True):
        file.write_bytes(tar)
    return files


def test_what_an_upper_layer_puts_below_a_link_goes_where_the_link_leads(tmp_path: Path) -> None:
    lower = member("usr/lib/", kind=DIR) + member("lib", kind=LINK, link="usr/lib")
    tree = tree_of(layers(tmp_path, lower, member("lib/modules/a.ko", b"A")))
    assert tree["usr/lib/modules/a.ko"].data == b"A"
    assert tree["lib"].data == b"usr/lib" and not [path for path in tree if path.startswith("lib/")]


def test_a_folder_that_an_upper_layer_names_takes_the_place_of_a_link(tmp_path: Path) -> None:
    tree = tree_of(
        layers(tmp_path, member("lib", kind=LINK, link="usr"), member("lib/", kind=DIR) + member("lib/a", b"A"))
    )
    assert sorted(tree) == ["lib", "lib/a"]


def test_a_folder_that_is_only_on_the_way_keeps_the_permissions_of_the_lower_layer(tmp_path: Path) -> None:
    tree = tree_of(layers(tmp_path, member("root/", kind=DIR, mode=0o700), member("root/a", b"A")))
    assert tree["root"].mode & 0o777 == 0o700


def test_hard_links_of_two_layers_are_not_one_file(tmp_path: Path) -> None:
    lower = member("a", b"1") + member("b", kind=HARD, link="/a")
    tree = tree_of(layers(tmp_path, lower, member("a", b"2") + member("c", kind=HARD, link="a")))
    assert [tree[name].data for name in "abc"] == [b"2", b"1", b"2"]
    assert tree["a"].inode == tree["c"].inode != tree["b"].inode


def test_a_folder_as_deep_as_a_path_can_be_is_hidden(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 2000)
    assert tree_of(layers(tmp_path, pax({"path": deep}) + member("cut", b"x"), member(".wh.d"))) == {}
    check_tar(layers(tmp_path, pax({"path": deep}) + member("cut", b"x") + member("d", b"in its place"))[0])


def test_a_tree_in_memory_has_no_fifos(tmp_path: Path) -> None:
    with pytest.raises(AssembleError, match="neither a file"):
        tree_of(layers(tmp_path, member("f", kind=FIFO)))


@pytest.mark.parametrize(
    "hiding", [member(".wh.kernel"), member("kernel", kind=LINK, link="other")], ids=["gone", "link"]
)
def test_a_file_that_an_upper_layer_hides_is_not_extracted(tmp_path: Path, hiding: bytes) -> None:
    assert not extract(layers(tmp_path, member("kernel", b"old"), hiding), "kernel", tmp_path / "out")


@pytest.mark.parametrize("name", ["./boot/kernel", "/boot/kernel", "boot//kernel"])
def test_a_file_is_found_however_its_name_is_written(tmp_path: Path, name: str) -> None:
    [file] = layers(tmp_path, member(name, b"K"))
    assert extract([file], "boot/kernel", tmp_path / "out") and (tmp_path / "out").read_bytes() == b"K"
    assert list(files_of(file)) == [("boot/kernel", b"K")]


def test_a_folder_that_would_hide_a_link_is_named(tmp_path: Path) -> None:
    """The kernel's modules below lib/, where init has /lib as a link: one of both would be gone on the box."""
    kernel, sound, init = layers(
        tmp_path,
        member("lib/modules/a.ko", b"A"),
        member("lib/x", b"x"),
        member("usr/lib/", kind=DIR) + member("lib", kind=LINK, link="usr/lib"),
    )
    assert folder_for_link(kernel, [sound]) == ""
    assert folder_for_link(kernel, [sound, init]) == "lib"


WHOLE = member("d/a", b"1") + member("b", kind=HARD, link="d/a") + member("l", kind=LINK, link="d") + member(".wh.x")
OTHERS = {
    "alone": WHOLE + member("more", b"x"),
    "content": WHOLE.replace(b"1" + bytes(511), b"2" + bytes(511)),
    "mode": WHOLE + member("d/", kind=DIR, mode=0o700),
    "kind": WHOLE + member("l", b"d"),
    "target": WHOLE + member("l", kind=LINK, link="e"),
    "attributes": pax({"SCHILY.xattr.user.a": "1"}) + WHOLE,
    "hard link": WHOLE + member("b", b"1"),
}


@pytest.mark.e2e
@pytest.mark.parametrize("reason", list(OTHERS))
def test_an_image_of_something_else_is_noticed(tmp_path: Path, reason: str) -> None:
    """As when mkfs.erofs loses a file, and says nothing."""
    tar, other = layers(tmp_path, WHOLE, OTHERS[reason])
    with built.toolbox().workspace() as work:
        make_layer(work, other)
        with reading(tar) as contents, pytest.raises(AssembleError, match=reason):
            check_image(contents, work.path(IMAGE))


@pytest.mark.e2e
def test_files_that_became_one_are_noticed(tmp_path: Path) -> None:
    tar, other = layers(
        tmp_path, member("a", b"1") + member("b", b"1"), member("a", b"1") + member("b", kind=HARD, link="a")
    )
    with built.toolbox().workspace() as work:
        make_layer(work, other)
        with reading(tar) as contents, pytest.raises(AssembleError, match="share an inode"):
            check_image(contents, work.path(IMAGE))


@pytest.mark.e2e
def test_a_layer_that_hides_all_below_it_is_refused(tmp_path: Path) -> None:
    """overlayfs looks for the mark in every folder but a layer's root."""
    [tar] = layers(tmp_path, member(".wh..wh..opq") + member("a", b"1"))
    with built.toolbox().workspace() as work, pytest.raises(AssembleError, match="hides every layer below"):
        make_layer(work, tar)

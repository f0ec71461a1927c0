"""Init images of two kinds in one root of layers: LinuxKit's programs are in folders that are links in ours."""

import stat

import pytest

from gitops.assemble.root.programs import check_programs
from gitops.assemble.tars.tree import Entry
from gitops.errors import AssembleError

FOLDER, LINK = Entry(stat.S_IFDIR), Entry(stat.S_IFLNK, link="usr/sbin")
IMAGES = {
    "linuxkit/init": {"sbin": FOLDER, "sbin/init": Entry(stat.S_IFREG), "bin": FOLDER},
    "linuxkit/runc": {"usr/bin": FOLDER, "etc": FOLDER},
    "linuxkit/firmware": {"lib": FOLDER, "lib/firmware": FOLDER},
    "pkg/ca-certificates": {"sbin": LINK, "bin": LINK, "etc": FOLDER},
    "pkg/init": {"sbin": LINK, "bin": LINK, "lib": LINK, "usr/bin": FOLDER},
}


@pytest.mark.parametrize("names", [("linuxkit/init", "pkg/ca-certificates"), ("pkg/init", "linuxkit/init")])
def test_an_image_that_hides_the_programs_of_another_is_refused(names: tuple[str, ...]) -> None:
    """In either order. A box was asked to start such a root, found no /sbin/init, and fell back."""
    with pytest.raises(AssembleError) as caught:
        check_programs(names, IMAGES.get)
    link, folder = sorted(names, reverse=True)
    assert caught.value.message == f"/bin is a link in {link}, and a folder in {folder}: one hides the other"
    assert "take init images of one kind" in caught.value.hint


@pytest.mark.parametrize("names", [("linuxkit/init", "linuxkit/runc"), ("pkg/init", "linuxkit/firmware"), ("gone",)])
def test_images_of_one_kind_are_taken(names: tuple[str, ...]) -> None:
    check_programs(names, IMAGES.get)

"""`disk:` of fleet, role and box: from the file to the word that the initrd reads, and to the disk of `box image`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.assemble.boot.pe import Section, add_sections
from gitops.assemble.boot.uki import arguments
from gitops.assemble.fits import check_rule
from gitops.assemble.formats.disk import Sizes
from gitops.errors import AssembleError
from gitops.fleet import load_fleet
from gitops.model import DiskRule, Network, Publication
from gitops.plan import box_keys
from gitops.source import FolderTree
from gitops.workflows.provision import ruled
from tests.kit.console import toweros
from tests.kit.fleets import repo
from tests.kit.pe import a_pe_file
from tests.kit.published import Kit, kit

ROLE = "boot: [boot/a.yml, boot/b.yml]\ndisk: {layers: 4GiB, state: rest}\n"


def test_the_nearest_level_counts_and_no_other_box_is_made_again(tmp_path: Path) -> None:
    repo(tmp_path)
    before = box_keys(load_fleet(FolderTree(tmp_path)))
    (tmp_path / "boxes/one.yaml").write_text("role: vm\ndisk: {layers: 512MiB, state: 1GiB}\n")
    fleet = load_fleet(FolderTree(tmp_path))
    assert fleet.boxes["one"].disk == DiskRule("512MiB", "1GiB") and fleet.boxes["two"].disk is None
    assert [name for name, key in box_keys(fleet).items() if key != before[name]] == ["one"]
    repo(tmp_path, **{"roles/vm.yaml": ROLE, "boxes/one.yaml": "role: vm\n", "boxes/two.yaml": "role: vm\n"})
    assert load_fleet(FolderTree(tmp_path)).boxes["two"].disk == DiskRule("4GiB")
    shown = json.loads(toweros("get", "box", "two", "-C", tmp_path, "-o", "json").stdout)
    assert shown["disk"] == {"layers": "4GiB", "state": "rest"}
    assert shown["origins"]["disk.layers"] == "roles/vm.yaml:2"
    assert "layers 4GiB, state rest" in toweros("get", "box", "two", "-C", tmp_path).stdout


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("{layers: 4}", "should be a valid string"),
        ("{layers: 4 GiB}", "a size such as 4GiB or 512MiB, or `rest`, is expected"),
        ("{layers: 4TiB}", "a size such as 4GiB or 512MiB, or `rest`, is expected"),
        ("{layers: 12MiB}", "between 64MiB and 16384GiB is expected"),
        ("{state: 99999999GiB}", "between 64MiB and 16384GiB is expected"),
        ("{layers: rest}", "only one of them can have the rest"),
        ("{swap: 1GiB}", "swap"),
        ("large", "disk"),
    ],
)
def test_a_rule_that_is_none_is_a_mistake_with_file_and_line(tmp_path: Path, rule: str, why: str) -> None:
    repo(tmp_path, **{"roles/vm.yaml": f"boot: [boot/a.yml, boot/b.yml]\ndisk: {rule}\n"})
    done = toweros("validate", tmp_path)
    assert done.exit_code == 1 and "roles/vm.yaml:2:" in done.output and why in done.output, done.output


def test_the_word_is_in_the_signed_line_of_a_box_that_has_a_rule_alone(tmp_path: Path) -> None:
    release = kit(tmp_path).publication("demo-1", 1).release
    without = arguments(release, "http://10.0.2.2", Network())
    assert "toweros.disk" not in without
    assert arguments(release, "http://10.0.2.2", Network(), DiskRule("4GiB")) == f"{without} toweros.disk=4096,rest"


def test_an_older_initrd_gets_no_word_that_it_would_refuse() -> None:
    check_rule(None, settles=False)
    check_rule(DiskRule(), settles=True)
    with pytest.raises(AssembleError, match="this initrd is an older one") as caught:
        check_rule(DiskRule(), settles=False)
    assert "toweros upgrade" in caught.value.hint


@pytest.mark.parametrize(
    ("word", "asked", "sizes"),
    [
        ("", (None, None), Sizes()),
        (" toweros.disk=4096,rest", (None, None), Sizes(toweros=4096)),
        (" toweros.disk=rest,300", (None, None), Sizes(state=300)),
        (" toweros.disk=4096,300", (None, 700), Sizes(toweros=4096, state=700)),
    ],
)
def test_the_disk_of_box_image_has_what_the_published_release_says(
    tmp_path: Path, word: str, asked: tuple[int | None, int | None], sizes: Sizes
) -> None:
    site = kit(tmp_path)
    publish(site, f"toweros.box=demo-1{word} toweros.net=dhcp")
    assert ruled(site.store, "demo-1", *asked) == sizes


def publish(site: Kit, line: str) -> None:
    addon = add_sections(a_pe_file(), [Section(".cmdline", line.encode() + b"\0")])
    made: Publication = replace(site.publication("demo-1", 1), addon=site.store.blobs.put(addon))
    site.store.offers.save_published(made, "key")

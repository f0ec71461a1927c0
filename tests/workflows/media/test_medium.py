"""What is asked of a fleet before a medium of it is made."""

from dataclasses import replace
from pathlib import Path

import pytest

from gitops.errors import AssembleError, StoreError
from gitops.workflows.media.medium import box_medium, role_medium
from tests.kit import oci
from tests.kit.site import Site


def with_initrd(site: Site, *names: str) -> None:
    """The deployed initrd has these files."""
    made = oci.image(site.store, "initrd", {name: b"#!/bin/sh\n" for name in names})
    site.store.builds.save_image(replace(made, key=site.store.existing().packages["pkg/initrd"]))


def test_a_fleet_with_an_older_initrd_hears_that_it_starts_from_disks_alone(site: Site, tmp_path: Path) -> None:
    """It would look for a partition TOWEROS, on whatever disk there is."""
    site.run()
    with_initrd(site, "init")
    with pytest.raises(AssembleError, match="starts from disks alone") as older:
        box_medium(site.settings, site.store, "a", tmp_path / "a.iso")
    assert older.value.hint and "toweros upgrade" in older.value.hint
    with_initrd(site, "init", "place")
    with pytest.raises(AssembleError, match="no pkg/media-tools"):
        box_medium(site.settings, site.store, "a", tmp_path / "a.iso")
    assert not [*tmp_path.glob("*.iso")]


@pytest.mark.parametrize("rule", ["largest disk", "a b toweros.net=x", "x" * 101, "é", "sda\n"])
def test_a_rule_that_is_none_reaches_no_signed_line(site: Site, tmp_path: Path, rule: str) -> None:
    site.run()
    with_initrd(site, "init", "place")
    with pytest.raises(AssembleError, match="is no rule for a disk"):
        box_medium(site.settings, site.store, "a", tmp_path / "a.iso", install=rule)


def test_before_anything_is_deployed_nothing_says_what_runs(site: Site, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="a has no published release"):
        box_medium(site.settings, site.store, "a", tmp_path / "a.iso")
    with pytest.raises(StoreError, match="nothing is deployed yet"):
        role_medium(site.settings, site.store, "vm", tmp_path / "vm.iso")


def test_a_role_that_there_is_not_is_told_with_those_that_there_are(site: Site, tmp_path: Path) -> None:
    site.run()
    with pytest.raises(AssembleError, match="can have the role vn") as unknown:
        role_medium(site.settings, site.store, "vn", tmp_path / "vn.iso")
    assert unknown.value.hint and unknown.value.hint.endswith(": vm")

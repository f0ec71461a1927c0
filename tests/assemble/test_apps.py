"""A user container's share of processes: the default, unless its compose file says one, in either way."""

from pathlib import Path

import pytest
import yaml

from gitops.assemble.apps import PIDS, Apps
from gitops.assemble.layers import Layers
from gitops.model import App, AppImage, Json
from gitops.store import Store

NAME = "registry.example/hlr@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({}, PIDS),
        ({"deploy": {"resources": {"limits": {"memory": "64m"}}}}, PIDS),
        ({"deploy": None}, PIDS),
        ({"pids_limit": 5}, 5),
        ({"pids_limit": -1}, -1),
        ({"deploy": {"resources": {"limits": {"pids": 5}}}}, None),
    ],
)
def test_a_user_container_has_a_limit_of_processes_and_its_own_counts(
    tmp_path: Path, service: Json, expected: int | None
) -> None:
    app = App("net", "boot/compose/net", "registry", {"services": {"hlr": service}}, {"hlr": NAME}, ())
    image = AppImage(b"{}", b"{}", ())
    store = Store.open(tmp_path / "state")
    staged = Apps(store, Layers.__new__(Layers)).stage([app], {}, {NAME: image}, "mirror.example")
    (file,) = staged.files
    assert yaml.safe_load(file["contents"])["services"]["hlr"].get("pids_limit") == expected

"""A toolbox for tests: the one that the fleet's own package made when it is there, else a hand-made Debian 13 root."""

import os
from pathlib import Path

import pytest

from gitops.tools import Toolbox

ROOT = Path(os.environ.get("TOWEROS_TEST_TOOLBOX", "/var/cache/toweros-test/toolbox"))
NEEDED = "usr/bin/mkfs.erofs"


def find() -> Toolbox:
    """The toolbox whose root `TOWEROS_TEST_TOOLBOX` names; the test is skipped when there is none."""
    if os.geteuid() != 0 or not (ROOT / NEEDED).exists():
        pytest.skip("no unpacked toolbox: set TOWEROS_TEST_TOOLBOX to its root")
    return Toolbox(ROOT, "test")

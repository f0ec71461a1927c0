"""The toolbox for tests: the one that pkg/toolbox makes."""

from pathlib import Path

from gitops.tools import Toolbox
from tests import works


def find() -> Toolbox:
    return works.toolbox()


def root() -> Path:
    return works.toolbox_root()

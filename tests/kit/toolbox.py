"""The toolbox for tests: the one that pkg/toolbox makes."""

from pathlib import Path

from gitops.toolbox import Toolbox
from tests.kit import works


def find() -> Toolbox:
    return works.toolbox()


def root() -> Path:
    return works.toolbox_root()

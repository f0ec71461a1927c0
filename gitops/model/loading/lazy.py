"""Names of a package that are loaded when somebody asks for them (PEP 562). What mypy reads is its `__init__.pyi`.

__getattr__ = lazily(__name__, {"Store": "store"})      # from gitops.store import Store
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`; `homes`: the module of each name."""

    def found(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    return found

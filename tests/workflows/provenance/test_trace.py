"""Where layers come from, when many packages stand on the same ones."""

from types import SimpleNamespace
from typing import Any, cast

from gitops.model import Image, Package
from gitops.plan import PACKAGE
from gitops.workflows.provenance.trace import Source, Trace

LEVELS = 40


def package(path: str, *depends: str) -> Package:
    return Package(path=path, image=path, tag=f"{path}:1", key=path, depends=depends, build_args=(), config={}, lock=())


def test_packages_that_stand_on_two_which_stand_on_the_same_are_looked_at_once() -> None:
    """Each level doubles the ways down: a million millions at the top."""
    packages = {"pkg/0": package("pkg/0")}
    images = {PACKAGE + "pkg/0": Image("0", "0", {}, ("0",))}
    for level in range(1, LEVELS):
        below = f"pkg/{level - 1}"
        for side in ("a", "b"):
            packages[f"pkg/{level}{side}"] = package(f"pkg/{level}{side}", below)
        packages[f"pkg/{level}"] = package(f"pkg/{level}", f"pkg/{level}a", f"pkg/{level}b")
        for name in (f"{level}a", f"{level}b", str(level)):
            images[f"{PACKAGE}pkg/{name}"] = Image(name, name, {}, (*images[PACKAGE + below].layers, name))
    workshop = SimpleNamespace(fleet=SimpleNamespace(packages=packages), built=images)
    owners = Trace(cast(Any, None), cast(Any, workshop))._of_image(f"{PACKAGE}pkg/{LEVELS - 1}", {})
    assert owners["0"] == Source("pkg/0") and owners["7"] == Source("pkg/7")

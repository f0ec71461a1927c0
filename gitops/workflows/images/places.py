"""Where a fleet repo names the images that no package makes: file and line of each.

In: a tree, its fleet. Out: image by digest -> a `Problem` without words, at the place. Rules: boot specs, compose files
and Dockerfiles; of several places, the first by name of box, then of package; what cannot be found has the role's file.

    places(tree, fleet)["web.example/ntp:4@sha256:.."].file      # boot/a.yml
"""

from collections.abc import Iterator

from gitops.errors import Problem
from gitops.fleet.documents.fragments import Fragments
from gitops.fleet.documents.yaml import Document, read
from gitops.fleet.images.lockfile import pins
from gitops.fleet.images.tracked import COMPOSE
from gitops.fleet.linuxkit.spec import GROUPS
from gitops.fleet.origins import origins
from gitops.fleet.packages.dockerfile import Dockerfile
from gitops.model import Box, Fleet, Package, Spec, Tree


def places(tree: Tree, fleet: Fleet) -> dict[str, Problem]:
    """Of every image, whether anything is wrong with it or not."""
    found: dict[str, Problem] = {}
    alike = {(id(box.spec), id(box.apps)): box for box in reversed(sorted(fleet.boxes.values(), key=_name))}
    for box in reversed(alike.values()):
        for name, problem in (*_of_spec(tree, box), *_of_apps(tree, box)):
            found.setdefault(name, problem)
    for path in sorted(fleet.packages):
        for name, problem in _of_package(tree, fleet.packages[path]):
            found.setdefault(name, problem)
    return found


def _name(box: Box) -> str:
    return box.name


def _of_spec(tree: Tree, box: Box) -> Iterator[tuple[str, Problem]]:
    where = origins(tree, box)
    for key, name in _named(box.spec):
        place = where.get(f"{key}.image") or where.get(key) or f"roles/{box.role}.yaml:1"
        file, _, line = place.rpartition(":")
        yield name, Problem(file, int(line), 0, "")


def _named(spec: Spec) -> Iterator[tuple[str, str]]:
    """Every image of a spec, with what names it."""
    yield "kernel", spec.kernel
    yield from (("init", name) for name in spec.init)
    for group in GROUPS:
        yield from ((f"{group}.{each.name}", each.image) for each in getattr(spec, group))
    yield from ((f"volumes.{each['name']}", each["image"]) for each in spec.volumes if each.get("image"))


def _of_apps(tree: Tree, box: Box) -> Iterator[tuple[str, Problem]]:
    for app in box.apps:
        path = f"{app.path}/{COMPOSE}"
        document = read(tree.read(path), path, [], Fragments) or Document(path)
        for service, name in app.images.items():
            yield name, document.problem(("services", service, "image"), "")


def _of_package(tree: Tree, package: Package) -> Iterator[tuple[str, Problem]]:
    path, known = f"{package.path}/{package.dockerfile}", pins(tree)
    if package.bases:
        for each in Dockerfile.parse(tree.read(path), dict(package.build_args)).outside:
            yield each.pinned(known), Problem(path, each.line, 0, "")

"""`toweros lock`: pin what packages are made from, and what tags of images mean."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.builders import Locker, moved
from gitops.builders.builder import existing
from gitops.builders.inputs import MissingInputsError, fetch_all, fetch_wanted
from gitops.builders.places import Places
from gitops.builders.relocking.relock import after_their_bases
from gitops.cli import context
from gitops.cli.context import ConfigOption, DirOption, StateOption
from gitops.cli.output import talk
from gitops.errors import BuildError, Problem, RegistryError
from gitops.fleet.images.lockfile import FILE as IMAGES
from gitops.fleet.images.tracked import tracked
from gitops.fleet.packages import load_packages
from gitops.model import Package
from gitops.settings import Settings
from gitops.source.working_folder import packages_in
from gitops.store import Store

HERE = Path()


def register(app: typer.Typer) -> None:
    app.command()(lock)


def lock(
    packages: Annotated[
        list[str] | None, typer.Argument(help="Paths such as pkg/sshd, or images.lock; none: all.")
    ] = None,
    gone: Annotated[bool, typer.Option("--gone", help="Those alone with files that no place has any more.")] = False,
    folder: DirOption = HERE,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write packages.lock for packages, and images.lock for tags of images, from what mirrors and registries have."""
    settings = context.settings(config, state)
    if packages != [IMAGES]:
        _lock_packages([each for each in packages or () if each != IMAGES], folder, settings, gone=gone)
    if IMAGES in (packages or ()) or not (packages or gone):
        _lock_images(folder, settings)


def _lock_packages(packages: list[str], folder: Path, settings: Settings, *, gone: bool) -> None:
    locker = Locker(settings.state / "apt", lambda file: fetch_wanted(_store(settings), file, Places.by(settings)))
    known = _load(folder)
    wanted = [name.rstrip("/") for name in packages] if packages else list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise BuildError(f"there is no package {', '.join(unknown)}", hint=f"known: {', '.join(known)}")
    if gone:
        wanted = _gone(settings, [known[name] for name in wanted])
    for path in after_their_bases(known, wanted):
        if not (folder / path / "packages.in").is_file():
            continue
        before = known[path].lock
        data = locker.lock(packages_in(folder), known, path)
        changed = _write(folder / path / "packages.lock", data)
        talk.print(f"{path}: {len(data.splitlines()) - 1} files{'' if changed else ', unchanged'}")
        known = _load(folder)
        for row in moved(before, known[path].lock):
            talk.print(f"  {row}")


def _lock_images(folder: Path, settings: Settings) -> None:
    """Nothing is asked where no image has a tag.

    Raises:
        RegistryError: some cannot be had, or may not be taken; the others are written.
    """
    from gitops.oci.trust import Trust
    from gitops.workflows.images.ask import Registries
    from gitops.workflows.images.relock import relock

    tree = packages_in(folder)
    if not tracked(tree) and IMAGES not in tree.entries():
        return
    made = relock(tree, Registries(settings, Trust.of(tree)))
    changed = _write(folder / IMAGES, made.data)
    talk.print(f"{IMAGES}: {made.lines} images{'' if changed else ', unchanged'}")
    for row in made.moved:
        talk.print(f"  {row}")
    if made.problems:
        words = "\n".join(f"{name}: {why}" for name, why in made.problems.items())
        raise RegistryError(words, hint="what could not be had stays as it was")


def _gone(settings: Settings, packages: list[Package]) -> list[str]:
    """Those with locked files that no place has; what can be had is in the store afterwards."""
    store = _store(settings)
    built = {package.path for package in packages if existing(store, package)}
    try:
        fetch_all(store, [package for package in packages if package.path not in built], Places.by(settings))
    except MissingInputsError as error:
        if not error.gone:
            raise
        if not error.packages:
            raise
        talk.print(error.message)
        return list(error.packages)
    talk.print("nothing is gone")
    return []


def _store(settings: Settings) -> Store:
    return Store.of(settings, migrate=True)


def _load(folder: Path) -> dict[str, Package]:
    """The packages, whether they are locked yet or not."""
    problems: list[Problem] = []
    return load_packages(packages_in(folder), 1, "linux/amd64", problems)


def _write(path: Path, data: bytes) -> bool:
    if path.is_file() and path.read_bytes() == data:
        return False
    new = path.with_suffix(".lock.new")
    new.write_bytes(data)
    new.replace(path)
    return True

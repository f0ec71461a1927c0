"""`toweros pkg show-tag`, `pkg push`: a package's tag, as LinuxKit has it, and its image in a registry."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, DirOption, StateOption
from gitops.cli.output import printable, talk
from gitops.errors import BuildError, FleetError, Problem, RegistryError

if TYPE_CHECKING:
    from gitops.model import Package


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Packages: their tags, and registries.", no_args_is_help=True)
    group.command("show-tag")(show_tag)
    group.command("push")(push)
    app.add_typer(group, name="pkg")


def show_tag(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Packages' folders, such as pkg/sshd.")],
    canonical: Annotated[bool, typer.Option("--canonical", help="With the host: HOST/ORG/IMAGE:TAG.")] = False,
    org: Annotated[str | None, typer.Option(help="In place of what build.yml says.")] = None,
    tag: Annotated[str, typer.Option(help="A template in place of build.yml's, such as `v1-{{.Hash}}`.")] = "",
    build_yml: Annotated[str, typer.Option(help="The name of the file.")] = "build.yml",
    hash_: Annotated[str, typer.Option("--hash", help="In place of Git's.")] = "",
    hash_commit: Annotated[str, typer.Option(help="The commit to look at.")] = "HEAD",
    hash_path: Annotated[str, typer.Option(help="A folder around the package, to hash in its place.")] = "",
    force_dirty: Annotated[bool, typer.Option("--force-dirty", help="Say `-dirty-` in any case.")] = False,
    dev: Annotated[bool, typer.Option("--dev", help="$USER and `dev` in place of org and hash.")] = False,
    folder: DirOption = Path(),
) -> None:
    """Print ORG/IMAGE:TAG of packages, each in its line, as `linuxkit pkg show-tag` does; a mistake hides no other."""
    from gitops.fleet.packages.tags.show import Asked, show

    asked = Asked(build_yml, org, tag, hash_, hash_commit, hash_path, force_dirty, dev, canonical)
    failed = False
    for shown in show(paths, asked, folder):
        if shown.mistake:
            failed = True
            hint = f"\n  hint: {shown.mistake.hint}" if shown.mistake.hint else ""
            typer.echo(printable(f"{shown.folder}: {shown.mistake.message}{hint}"), err=True)
            continue
        typer.echo(printable(shown.word))
        if shown.outside:
            typer.echo(printable(f"{shown.folder}: no Git repository, or one that Git does not trust"), err=True)
    if failed:
        raise typer.Exit(1)


def push(
    paths: Annotated[list[str] | None, typer.Argument(help="Such as pkg/osmocom: all below it. None: all.")] = None,
    registry: Annotated[
        str, typer.Option(help="HOST or HOST:PORT, and /PREFIX; the settings' `registry` if not given.")
    ] = "",
    folder: DirOption = Path(),
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Publish packages to a registry under their LinuxKit tags; prints what an app names to pull them by digest."""
    from gitops.oci.image import oci_image
    from gitops.oci.image import push as upload
    from gitops.workflows.images.pulling import Images

    settings, store = context.settings(config, state), context.known_store(config, state)
    where = registry or settings.registry
    if not where:
        raise RegistryError("no registry is named", hint="pass --registry HOST[/PREFIX], or set `registry`")
    packages = _load(folder)
    for package in _wanted(packages, [_clean(path) for path in paths or ()]):
        image = store.builds.image(package.key)
        if image is None or not all(map(store.blobs.has, image.layers)):
            raise BuildError(f"{package.path} is not built", hint=f"`toweros build {package.path}`")
        repository, _, tag = package.tag.rpartition(":")
        place, repository = Images(settings, store).place(where, repository)
        made = oci_image(store, image)
        new = upload(store, place, repository, tag, made)
        talk.print(f"{place.host}/{repository}:{tag} {'pushed' if new else 'is there'}")
        typer.echo(f"{place.host}/{repository}@sha256:{made.digest}")


def _wanted(packages: "dict[str, Package]", paths: list[str]) -> "list[Package]":
    """The packages at or below these paths."""
    from gitops.fleet.documents.explain import did_you_mean

    if not paths:
        return list(packages.values())
    for path in paths:
        if not any(name == path or name.startswith(f"{path}/") for name in packages):
            raise BuildError(f"there is no package {path}", hint=did_you_mean(path, list(packages)))
    return [p for name, p in packages.items() if any(name == path or name.startswith(f"{path}/") for path in paths)]


def _load(folder: Path) -> "dict[str, Package]":
    from gitops.fleet.packages import load_packages
    from gitops.source.working_folder import packages_in

    problems: list[Problem] = []
    packages = load_packages(packages_in(folder), 1, "linux/amd64", problems)
    if problems:
        raise FleetError(problems)
    return packages


def _clean(path: str) -> str:
    return path.strip("/").removeprefix("./")

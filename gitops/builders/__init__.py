"""Packages become images: inputs by digest, a build without network, layers in the store.

lock (packages.in -> packages.lock) ... inputs (locked files into the store), bases -> context -> a builder -> Image.
"""

from gitops.builders.bases.fetch import Bases
from gitops.builders.buildah import BuildahBuilder
from gitops.builders.builder import Builder
from gitops.builders.lock import Locker
from gitops.builders.places import Places
from gitops.builders.relocking.moved import moved
from gitops.settings import Settings
from gitops.store import Store

__all__ = ["Bases", "BuildahBuilder", "Builder", "Locker", "builder_of", "moved"]


def builder_of(settings: Settings, store: Store) -> Builder:
    """The builder that the settings name: buildah, unless they say `docker`."""
    places, bases, still = Places.by(settings), Bases(settings, store), settings.rootfs_still
    if settings.builder == "docker":
        from gitops.builders.docker import DockerBuilder  # its client takes a while to import

        return DockerBuilder(store, settings.docker_host, places, bases, still)
    return BuildahBuilder(store, None, places, bases, still)

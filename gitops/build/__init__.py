"""Packages become images: inputs by digest, a build without network, layers in the store.

lock (packages.in -> packages.lock) ... inputs (locked files into the store) -> context -> buildah -> Image.
"""

from gitops.build.buildah import BuildahBuilder
from gitops.build.builder import Builder
from gitops.build.lock import Locker

__all__ = ["BuildahBuilder", "Builder", "Locker"]

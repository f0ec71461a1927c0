"""Git: what the fleet repo says, and whether we believe it.

remote (libgit2's transports) -> git (fetch, judge, remember) -> trees (files by id); rules and bounds are pure.
"""

from gitops.source.git import GitSource
from gitops.source.remote import Access
from gitops.source.trees import FolderTree, GitTree

__all__ = ["Access", "FolderTree", "GitSource", "GitTree"]

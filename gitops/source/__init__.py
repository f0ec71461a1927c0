"""Git: what the fleet repo says, and whether we believe it.

remote (libgit2's transports) -> git (fetch, judge, remember) -> trees (files by id); rules and bounds are pure.
"""

from gitops.source.clone.remote import Access
from gitops.source.clone.trees import FolderTree, GitTree
from gitops.source.follow import GitSource

__all__ = ["Access", "FolderTree", "GitSource", "GitTree"]

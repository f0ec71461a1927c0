"""Git: what the fleet repo says, and whether we believe it.

clone (facts of Git) -> trust (whom we believe) -> named_commits, follow (one accepted revision at a time). Rules,
releases and bounds are pure.
"""

from gitops.source.clone.remote import Access
from gitops.source.clone.trees import FolderTree, GitTree
from gitops.source.follow import GitSource

__all__ = ["Access", "FolderTree", "GitSource", "GitTree"]

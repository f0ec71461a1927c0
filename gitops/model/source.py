"""What Git says: revisions, the files of a tree, and the policy on who may deploy.

Files come from a commit, a folder, or memory: all of them are a `Tree`. Policy is what `fleet.yaml` says;
`gitops.source.trust` judges by it.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gitops.model.digest import BlobRef, Json
from gitops.model.notifying.rules import NotifyRule
from gitops.model.rollout.waves import Careful
from gitops.model.updates.patching import Patching


@dataclass(frozen=True)
class Entry:
    """One file of a tree: Git's mode (0o100644, 0o100755, 0o120000) and blob id, and its size in bytes."""

    path: str
    mode: int
    id: str
    size: int


class Tree(Protocol):
    """The files of one commit (or of a folder on disk), read by path and never checked out.

    `entries` are by path; `read` gives one, `tree_id` a folder's id (Git's, 40 hex): both raise `KeyError`.
    """

    def entries(self) -> Mapping[str, Entry]: ...
    def read(self, path: str) -> bytes: ...
    def tree_id(self, folder: str) -> str: ...


@dataclass(frozen=True)
class Revision:
    """A commit that may deploy. `sequence` counts its ancestors (itself included), plus the settings' epoch.

    `ref` is a branch or a release tag. `evidence` are the raw Git objects that were judged: commits, and tags.
    """

    ref: str
    commit: str
    sequence: int
    time: int
    subject: str = ""
    signers: tuple[str, ...] = ()
    evidence: tuple[BlobRef, ...] = ()
    tagged: bool = False
    """`ref` is a release tag."""

    @classmethod
    def of(cls, row: Json) -> "Revision":
        """From its JSON form."""
        evidence = tuple(BlobRef(**ref) for ref in row.get("evidence", ()))
        return cls(**{**row, "signers": tuple(row["signers"]), "evidence": evidence})

    def __str__(self) -> str:
        return f"{self.ref}@sha1:{self.commit}"


class Sign(enum.StrEnum):
    """Whose signature counts: the commit's, the release tag's, both, or that of each commit on the first-parent chain
    since the last deployed revision; `none`: nobody's is asked for."""

    none = "none"
    head = "head"
    tag = "tag"
    both = "both"
    every_commit = "every-commit"


@dataclass(frozen=True)
class PathRule:
    """Who must have signed a change below `paths` (globs; `**` crosses folders): at least one of `signers`."""

    paths: tuple[str, ...]
    signers: tuple[str, ...]


def building(recipe: int) -> int:
    """The newest recipe up to this one that says how packages are built and layers made. Recipe 2 does not: releases
    name their boot files."""
    return min(recipe, 1)


@dataclass(frozen=True)
class Policy:
    """What fleet.yaml says about deploying. Either `branch` or `tags` (a pattern of release tags) is set."""

    branch: str = "main"
    sign: Sign = Sign.none
    canaries: int = 1
    max_failures: int = 1
    recipe: int = 1
    careful: Careful = field(default_factory=Careful)
    suspended: str = ""
    tags: str = ""
    threshold: int = 1
    """So many different people must have signed a release tag on the commit."""
    rules: tuple[PathRule, ...] = ()
    limits: tuple[PathRule, ...] = ()
    """What these people sign counts only where nothing but these paths changes."""
    security: Patching | None = None
    unsigned: tuple[str, ...] = ()
    """Globs of images by tag that need no signature, though `keys/cosign/` has keys."""
    notify: tuple[NotifyRule, ...] = ()
    """Who is told of what."""

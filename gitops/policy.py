"""Who may deploy, and how carefully: what fleet.yaml says of it. Nouns only; `gitops.source` judges by them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PathRule:
    """Who must have signed a change below `paths` (globs; `**` crosses folders): at least one of `signers`."""

    paths: tuple[str, ...]
    signers: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """What fleet.yaml says about deploying. Either `branch` or `tags` (a pattern of release tags) is set."""

    branch: str = "main"
    sign: str = "none"
    """Whose signature counts: `head` the commit's, `tag` the release tag's, `both`, `every-commit` each one's on the
    first-parent chain since the last deployed revision; `none`: nobody's is asked for."""
    canaries: int = 1
    max_failures: int = 1
    recipe: int = 1
    suspended: str = ""
    tags: str = ""
    threshold: int = 1
    """So many different people must have signed a release tag on the commit."""
    rules: tuple[PathRule, ...] = ()

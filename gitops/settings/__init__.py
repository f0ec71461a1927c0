"""The controller's own settings: what there is (`values`), and where it comes from (`loading`)."""

from gitops.settings.loading import HINT, PATHS, PREFIX, load
from gitops.settings.values import Feed, Settings

__all__ = ["HINT", "PATHS", "PREFIX", "Feed", "Settings", "load"]

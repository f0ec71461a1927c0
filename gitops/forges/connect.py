"""The forge that the settings name.

forge = connect(settings)       # None: they name none
"""

from gitops.errors import SettingsError
from gitops.forges.forge import Forge
from gitops.forges.github import HEADERS, GitHub
from gitops.forges.http import Api
from gitops.forges.token import reader
from gitops.settings import Settings


def connect(settings: Settings) -> Forge | None:
    """Nothing is asked of the forge yet.

    Raises:
        SettingsError: the settings name a forge, and not the repository there.
    """
    if not settings.forge:
        return None
    if not settings.forge_repository:
        raise SettingsError("`forge` is set, and `forge_repository` is not", hint="OWNER/NAME; see docs/review.md")
    return GitHub(settings.forge_repository, Api(settings.forge_url, reader(settings), HEADERS))

"""The forge that the settings name.

forge = connect(settings)       # None: they name none
"""

from gitops.errors import SettingsError
from gitops.forges import github, gitlab
from gitops.forges.forge import Forge
from gitops.forges.gitea import Gitea
from gitops.forges.github import HEADERS, GitHub
from gitops.forges.gitlab import GitLab
from gitops.forges.http import Api
from gitops.forges.token import reader
from gitops.settings import Settings


def connect(settings: Settings) -> Forge | None:
    """Nothing is asked of the forge yet.

    Raises:
        SettingsError: the settings name a forge, and not the repository there, or not where it is.
    """
    if not settings.forge:
        return None
    if not settings.forge_repository:
        raise SettingsError("`forge` is set, and `forge_repository` is not", hint="OWNER/NAME; see docs/review.md")
    if settings.forge == "github":
        return GitHub(_owned(settings), Api(settings.forge_url or github.URL, reader(settings), HEADERS))
    if settings.forge == "gitlab":
        return GitLab(settings.forge_repository, Api(settings.forge_url or gitlab.URL, reader(settings)))
    if not settings.forge_url:
        hint = 'such as forge_url = "https://git.example/api/v1"; see docs/review.md'
        raise SettingsError(f"`forge` is {settings.forge}, and `forge_url` is not set", hint=hint)
    return Gitea(_owned(settings), Api(settings.forge_url, reader(settings)))


def _owned(settings: Settings) -> str:
    """OWNER/NAME. Raises SettingsError: it is something longer."""
    if settings.forge_repository.count("/") > 1:
        raise SettingsError(
            f"`forge_repository` {settings.forge_repository}: OWNER/NAME is expected on {settings.forge}"
        )
    return settings.forge_repository

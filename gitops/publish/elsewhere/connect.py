"""The places that the settings name.

places = [place_of(each, settings) for each in settings.publish]
"""

from pathlib import Path

from gitops.publish.elsewhere.objects import Objects
from gitops.publish.elsewhere.place import Folder, Place
from gitops.publish.elsewhere.registry import Registered
from gitops.settings import Settings
from gitops.settings.places import OCI, S3, PublishTo


def place_of(said: PublishTo, settings: Settings) -> Place:
    """One of them. Nothing is asked yet."""
    if said.to.startswith(S3):
        return Objects.of(said)
    if said.to.startswith(OCI):
        host, _, repository = said.to.removeprefix(OCI).partition("/")
        return Registered(said.name, host, repository, said.credentials_file or settings.registry_auth)
    return Folder(said.name, Path(said.to))

"""Registries that are asked no more, for as long as one look or one pass takes.

In: how asking one of them for one image ended. Out: the same error at once, for the other images of its host. Rules:
where no connection stands, nobody asks again; who is silent is asked for one image more; what breaks off, is damaged
or refused says nothing of the others, nor does a place to which one image leads: one image's trouble is that image's.

    away = Away()
    away.check("registry.example")            # raises what is known of it
    away.heard("registry.example", error)
"""

from collections import Counter

from gitops.errors import RegistryError

SILENCES = 2
"""Images for which a host may give no answer. Each costs up to a minute."""


class AwayError(RegistryError):
    """No connection stands."""


class SilentError(RegistryError):
    """It was asked, and gave no answer in its time."""


class Away:
    """What is known of hosts. One for a look or a pass."""

    def __init__(self) -> None:
        self._errors, self._silences = dict[str, RegistryError](), Counter[str]()

    def check(self, host: str) -> None:
        """Raises RegistryError: it is asked no more."""
        if host in self._errors:
            raise self._errors[host]

    def heard(self, host: str, error: Exception) -> None:
        """Remember how it ended."""
        self._silences[host] += isinstance(error, SilentError)
        if isinstance(error, AwayError) or (isinstance(error, SilentError) and self._silences[host] >= SILENCES):
            self._errors[host] = error

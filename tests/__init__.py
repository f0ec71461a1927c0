"""The tests of TowerOS. Machines are busy: no property fails for being slow."""

from hypothesis import settings

settings.register_profile("toweros", deadline=None)
settings.load_profile("toweros")

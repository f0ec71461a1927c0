"""What a fleet repo may say: strict YAML, typed models, overlays fleet > role > box, LinuxKit's files, packages.

yaml -> schema -> overlay -> repo; `linuxkit` and `packages` read the pure LinuxKit parts; `box` is what every box gets.
"""

from gitops.fleet.repo import load_fleet, load_policy

__all__ = ["load_fleet", "load_policy"]

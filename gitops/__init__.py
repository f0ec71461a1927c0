"""TowerOS GitOps: a Git repository of box specs becomes verified images on a fleet of boxes.

The folders are the architecture; data flows one way:
`source` -> `fleet` -> `plan` -> `build` -> `assemble` -> `sign` -> `publish` -> the box (`pkg/agent`).
The nouns between the stages are in `model`; only `workflows` wires two stages.
"""

__version__ = "0.1.0"

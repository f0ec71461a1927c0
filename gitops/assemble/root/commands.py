"""Containers that nothing could start: neither what is written nor the image names a command. Pure.

In: a box, what is known of its images' configs. Out: each such container, as `origins` names it, with its image. Rules:
LinuxKit's `command:` counts before the label of the image, and that before its `Entrypoint` and `Cmd`; compose's
`entrypoint:` and `command:` before those; what is not known is not judged.

    [*idle(box, {"@pkg:pkg/ntp": {}}.get)]      # [("services.ntp", "@pkg:pkg/ntp")]
"""

from collections.abc import Callable, Iterator

from gitops.assemble.root.runtime_spec import command_of
from gitops.errors import AssembleError
from gitops.model import App, Box, Json

GROUPS = ("onboot", "onshutdown", "services")
ConfigOf = Callable[[str], Json | None]
"""An image, as specs name it -> its config; None: that is not known yet."""


def idle(box: Box, config_of: ConfigOf) -> Iterator[tuple[str, str]]:
    """What neither its own settings nor its image give a command.

    Raises:
        AssembleError: an image's label cannot be read.
    """
    for group in GROUPS:
        for container in getattr(box.spec, group):
            config = config_of(container.image)
            if config is not None and not command_of(container, config):
                yield f"{group}.{container.name}", container.image
    for app in box.apps:
        yield from _of_app(app, config_of)


def _of_app(app: App, config_of: ConfigOf) -> Iterator[tuple[str, str]]:
    for name, service in app.services().items():
        image = app.images.get(name, "")
        config = config_of(image) if image and not (service.get("command") or service.get("entrypoint")) else None
        if config is not None and not (config.get("Entrypoint") or config.get("Cmd")):
            yield f"{app.path}: {name}", image


def words(name: str, image: str) -> tuple[str, str]:
    """What is wrong with one of them, and what helps."""
    hint = "write `command:` for it, or CMD or ENTRYPOINT in the image's Dockerfile"
    return f"{name} names no command, and {image} has none", hint


def check_commands(box: Box, config_of: ConfigOf) -> None:
    """Raises AssembleError: runc and Docker would refuse a container of the box."""
    for name, image in idle(box, config_of):
        message, hint = words(name, image)
        raise AssembleError(message, hint=hint)

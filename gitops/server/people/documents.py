"""Names of what is made for everybody at once."""

from enum import StrEnum


class Document(StrEnum):
    """`page`: HTML; `boxes`, `security`, `rollout`: JSON; `metrics`: the Prometheus text format."""

    page = "page"
    boxes = "boxes"
    security = "security"
    rollout = "rollout"
    metrics = "metrics"

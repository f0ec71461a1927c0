"""Every route of an application, whichever way FastAPI keeps it: as a router that was taken in, or as its routes."""

from typing import Any


def routes(app: Any) -> set[tuple[str, str]]:
    """Method and path."""
    found = list[Any]()
    for route in app.router.routes:
        inner = getattr(route, "original_router", None)
        found += inner.routes if inner else [route]
    return {(method, route.path) for route in found for method in getattr(route, "methods", None) or ()}

"""Health checks that nobody wrote: of every user container that is to run all the time. Pure.

In: the checks of a box, its apps, and which services nobody is to miss. Out: the checks with these. Rules: who is named
by a check has no second one; what may end (a job, `restart: no` or `on-failure`), or is not started by itself (a
profile, no replicas), has none.

    watched(HealthSpec(), (app,), {"net": ("bts",)}).checks     # HealthCheck("core", "container", "core"), ...
"""

from collections.abc import Iterator, Mapping

from gitops.model import App, HealthCheck, HealthSpec, Json

JOB = "service_completed_successfully"
COUNTS = tuple(map(str, range(1, 1000)))
"""Replicas that run: none is no service, and a variable may say so."""


def watched(health: HealthSpec, apps: tuple[App, ...], unwatched: Mapping[str, tuple[str, ...]]) -> HealthSpec:
    """With a check of every user container that is to run, and that no check names: a release whose app does not come
    up would be kept otherwise. `unwatched`: app -> services that nobody is to miss.
    """
    names = {check.name for check in health.checks}
    named = {check.target for check in health.checks if check.type == "container"}
    made = []
    for app in apps:
        for service, called in _lasting(app.services()):
            if not named & {service, called} and service not in unwatched.get(app.name, ()):
                made.append(HealthCheck(called if called not in names else f"container {called}", "container", called))
                named.add(called)
    return HealthSpec(health.probation, (*health.checks, *made)) if made else health


def _lasting(services: Json) -> Iterator[tuple[str, str]]:
    """The services that are to run all the time, by what their keys say, each with its container's name."""
    for service, keys in services.items():
        waits = [_keys(_keys(other, "depends_on"), service).get("condition") for other in services.values()]
        deploy = _keys(keys, "deploy")
        policy = str(_keys(deploy, "restart_policy").get("condition", keys.get("restart", "")))
        started = not keys.get("profiles") and str(keys.get("scale", deploy.get("replicas", 1))) in COUNTS
        if started and JOB not in waits and policy not in ("no", "none") and not policy.startswith(("on-failure", "$")):
            name = str(keys.get("container_name", service))
            yield service, service if "$" in name else name  # what a variable says is known on the box alone


def _keys(value: Json, key: str) -> Json:
    """The keys and values below one, if there are any."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}

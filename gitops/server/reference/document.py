"""The OpenAPI document of the update server: what FastAPI knows of the routes, and what people must know besides.

In: an application. Out: its OpenAPI document, as a dict and (`install`) at `/openapi.json`. Rules: parameters are those
that a page reads (`QUERIES`), never written down twice; a route that has no words here keeps its function's.

    install(app)
    app.openapi()["paths"]["/api/v1/boxes"]["get"]["description"]
"""

import copy
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from gitops.model import Json
from gitops.server.people.acts.api import PATHS as ACT_PATHS
from gitops.server.people.acts.kinds import ACTS
from gitops.server.people.acts.several import PATHS as SEVERAL_PATHS
from gitops.server.people.api import PATHS
from gitops.server.people.documents import Document
from gitops.server.people.page import QUERIES
from gitops.server.people.pages.query import Parameter

ABOUT = """What the pages show, as JSON, and what boxes and sites' servers say. Where people log in, reading and
acting need a token (docs/people.md); what boxes and sites say is signed by keys of their own. Fields may be added at
any time: take what you know, pass over the rest."""
WORDS = {
    "/api/v1/boxes": "Every box: how it is, what it should run and runs. Without a parameter, all of them, by name;"
    " with one, those that are meant, trouble first, in parts.",
    "/api/v1/boxes/{name}": "All that is known of one box, its last report among it.",
    "/api/v1/boxes/{name}/report": "A box's report: an envelope, signed by the box's key (docs/formats.md, Report).",
    "/api/v1/sites": "Each site, with how many of its boxes are how; those in trouble first.",
    "/api/v1/commits": "How far each commit came, newest first; bytes that boxes fetched, by day.",
    "/api/v1/commits/{name}": "One commit: waves, progress, who is in trouble with it. Seven digits are enough.",
    "/api/v1/events": "What happened, newest first; `next` in the answer is the `before` of the next question.",
    "/api/v1/security": "Known vulnerabilities by role and severity, and how old the feeds are.",
    "/api/v1/keys": "When metadata and certificates end; which keys ask to be let in; for admins, tokens and their last"
    " use.",
    "/api/v1/rollout": "The waves of what is going out, and what each box waits for.",
    "/api/v1/progress": "What the controller builds and assembles now; `{}` when it does nothing.",
    "/api/v1/nocs": "Sites' own servers, and when each was last heard.",
    "/api/v1/audit": "Who did what, newest first (docs/audit.md); for admins.",
    "/api/v1/nocs/{name}/contact": "A site's server says that it is there (docs/noc.md); signed by its key.",
    "/api/v1/nocs/{name}/starts": "A site's server tells of starts by the network; signed by its key.",
}
ACT_WORDS = {
    path: f"{ACTS[meant].title.format(subject='NAME')}. {ACTS[meant].does} By a token, with a reason (docs/audit.md)."
    for meant, path in ACT_PATHS.items()
}
ACT_WORDS |= {
    path: f"The boxes of `roles`, `sites`, `labels`: {ACTS['box', act].title.format(subject='each of them')}."
    f" {ACTS['box', act].does} `boxes` is how many are meant: without it, 409 says the number."
    " By a token, with a reason."
    for act, path in SEVERAL_PATHS.items()
}
QUESTIONS = {**PATHS, "/api/v1/commits/{name}": Document.commit}
ANSWERS = {
    "400": "a parameter cannot be that; the answer names it",
    "404": "there is nothing of that name",
    "422": "it is not what the schema says",
    "429": "this address asks too much at once: come again after `Retry-After`",
    "503": "the database is away, or too many ask at once: come again",
}


def install(app: FastAPI) -> FastAPI:
    """The document at `/openapi.json` is this one."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        return described_by(copy.deepcopy(plain()))

    app.openapi = described  # type: ignore[method-assign]
    return app


def described_by(document: Json) -> Json:
    """FastAPI's document with our words."""
    document["info"]["description"] = " ".join(ABOUT.split())
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _describe(path, method, operation)
    document.pop("components", None)
    return document


def _describe(path: str, method: str, operation: Json) -> None:
    operation["summary"] = f"{method.upper()} {path}"
    own = str(operation.get("description", ""))
    operation["description"] = WORDS.get(path) or ACT_WORDS.get(path) or ("" if "partial(" in own else own)
    operation.pop("operationId", None)
    asked = QUERIES[QUESTIONS[path]].parameters if path in QUESTIONS and method == "get" else {}
    named = [each for each in operation.get("parameters", []) if each["in"] == "path"]
    for each in named:
        each["schema"] = {"type": "string"}
    operation["parameters"] = [*named, *(_parameter(name, each) for name, each in asked.items())]
    good = {code: answer for code, answer in operation["responses"].items() if code.startswith("2")}
    codes = [code for code in ANSWERS if code != "422" and (code != "400" or asked) and (code != "404" or named)]
    problem = {"content": {"application/problem+json": {"schema": {"type": "object"}}}}
    operation["responses"] = {**_good(good), **{code: {"description": ANSWERS[code], **problem} for code in codes}}


def _good(answers: Mapping[str, Json]) -> Json:
    for code, answer in answers.items():
        answer["description"] = "taken" if code == "204" else "a JSON object"
        if code == "200":
            answer["content"] = {"application/json": {"schema": {"type": "object"}}}
    return dict(answers)


def _parameter(name: str, parameter: Parameter) -> Json:
    schema: Json = {"type": "string"}
    if parameter.words:
        schema["enum"] = list(parameter.words)
    elif parameter.most:
        schema = {"type": "integer", "minimum": parameter.least, "maximum": parameter.most}
    if parameter.default:
        schema["default"] = int(parameter.default) if parameter.most else parameter.default
    return {"name": name, "in": "query", "required": False, "schema": schema}

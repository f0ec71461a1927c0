"""An OpenAPI document as a page for people: docs/api.md. Pure.

In: the document. Out: Markdown: a table of what there is, then each question with its parameters and answers.

    print(page(app.openapi()))
"""

from gitops.model import Json

HEAD = """# The API

Made by `toweros openapi --markdown` of what the update server says of itself at `/openapi.json`; do not change it by
hand (`make api`).

{about}

A question that fails is answered by a problem document (RFC 9457). [pages.md](pages.md) has the same as pages;
[formats.md](formats.md) has what boxes fetch (`/metadata`, `/layers`, `/targets`, `/deltas`), which is no API.

| | what |
|---|---|
{rows}
"""


def page(document: Json) -> str:
    """The whole page, with an end of line."""
    operations = [
        (path, method, each) for path, methods in document["paths"].items() for method, each in methods.items()
    ]
    operations.sort(key=lambda row: (row[1] != "get", row[0]))
    rows = "\n".join(
        f"| `{method.upper()} {_words(path)}` | {each['description']} |" for path, method, each in operations
    )
    parts = [HEAD.format(about=document["info"]["description"], rows=rows)]
    return "\n".join([*parts, *(_part(path, method, each) for path, method, each in operations)])


def _part(path: str, method: str, operation: Json) -> str:
    lines = [f"## {method.upper()} {_words(path)}", "", operation["description"], ""]
    if parameters := [each for each in operation["parameters"] if each["in"] == "query"]:
        lines += ["| parameter | is |", "|---|---|"]
        lines += [f"| `{each['name']}` | {_values(each['schema'])} |" for each in parameters]
        lines.append("")
    answers = (f"{code}: {answer['description']}" for code, answer in operation["responses"].items())
    return "\n".join([*lines, "; ".join(answers) + ".", ""])


def _values(schema: Json) -> str:
    words = ", ".join(f"`{word}`" for word in schema.get("enum", ()))
    if schema["type"] == "integer":
        words = f"a number from {schema['minimum']} to {schema['maximum']:,}"
    default = f"; `{schema['default']}` without it" if "default" in schema else ""
    return (words or "a text") + default


def _words(path: str) -> str:
    return path.replace("{name}", "NAME")

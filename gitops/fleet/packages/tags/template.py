"""`tag:` of a build.yml: a text with `{{...}}` parts, of Go's text/template as much as a tag needs. Pure.

In: the template, the package's hash. Out: the tag. Rules: `{{.Hash}}`, `slice`, `printf` with `%s` and `%.7s`, words in
quotes, `|`, comments, and `{{- -}}`, which take white space away; anything else is an error, never a wrong tag.

    fill("v1-{{slice .Hash 0 7}}", "0123456789")      # v1-0123456
"""

import re

DEFAULT = "{{.Hash}}"
UNKNOWN = "<no value>"
"""What Go prints for a name that it was not given: no image has such a tag."""
MAX = 1000
"""Characters of a template."""
_PART = re.compile(r"\{\{(-(?=\s))?\s*(.*?)\s*(\s-)?\}\}", re.DOTALL)
_WORD = re.compile(r'\s*("(?:[^"\\]|\\.)*"|`[^`]*`|\||[^\s"`|]+)')
_FORMAT = re.compile(r"%(?:\.(\d{1,3}))?([sv])|%%")
HINT = 'write `{{.Hash}}`, `{{slice .Hash 0 7}}`, `{{printf "%.7s" .Hash}}` or plain text'


class TemplateError(ValueError):
    """A template says what is not known here."""


def fill(template: str, digest: str) -> str:
    """The tag.

    Raises:
        TemplateError: a part is not known.
    """
    if len(template) > MAX:
        raise TemplateError(f"the template has {len(template)} characters, and {MAX} are enough")
    text, place, strip = "", 0, False
    for part in _PART.finditer(template):
        plain = template[place : part.start()]
        plain = plain.lstrip() if strip else plain
        text += (plain.rstrip() if part[1] else plain) + _value(part[2], digest)
        place, strip = part.end(), bool(part[3])
    rest = template[place:]
    if "{{" in rest:
        raise TemplateError("`{{` without `}}`")
    return text + (rest.lstrip() if strip else rest)


def _value(action: str, digest: str) -> str:
    if re.fullmatch(r"/\*.*\*/", action, re.DOTALL):
        return ""
    if action.endswith("-"):
        action = action[:-1].rstrip()
    words = [word[1] for word in _WORD.finditer(action)]
    value: str | None = None
    while words:
        end = words.index("|") if "|" in words else len(words)
        call, words = words[:end], words[end + 1 :]
        value = _call(call, digest, action, value)
    if value is None:
        raise TemplateError(f"`{{{{{action}}}}}` is not known here")
    return value


def _call(words: list[str], digest: str, action: str, before: str | None) -> str:
    """One command of a pipeline; what comes before it is its last argument."""
    match words:
        case ["slice", what, *ends] if before is None and len(ends) <= 2 and all(each.isdecimal() for each in ends):
            text, (first, last) = _operand(what, digest, action), [*map(int, ends), *(None, None)][:2]
            size = len(text)
            if not (first or 0) <= (size if last is None else last) <= size:
                raise TemplateError(f"`{{{{{action}}}}}` asks for more than there is")
            return text[first or 0 : last]
        case ["printf", pattern, *rest]:
            values = [_operand(word, digest, action) for word in rest] + ([] if before is None else [before])
            return _printed(_operand(pattern, digest, action), values, action)
        case ["print", *rest]:
            return "".join([*(_operand(word, digest, action) for word in rest), before or ""])
        case [word] if before is None:
            return _operand(word, digest, action)
    raise TemplateError(f"`{{{{{action}}}}}` is not known here")


def _operand(word: str, digest: str, action: str) -> str:
    if word == ".Hash":
        return digest
    if re.fullmatch(r"\.[A-Za-z_]\w*", word):
        return UNKNOWN
    if len(word) > 1 and word[0] in '"`':
        if "\\" in word and word[0] == '"':
            raise TemplateError(f"`{{{{{action}}}}}` has an escape")
        return word[1:-1]
    raise TemplateError(f"`{{{{{action}}}}}` is not known here")


def _printed(pattern: str, values: list[str], action: str) -> str:
    left = list(values)

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        if not left:
            raise TemplateError(f"`{{{{{action}}}}}` prints more than it is given")
        value = left.pop(0)
        return value[: int(match[1])] if match[1] and match[2] == "s" else value

    text = _FORMAT.sub(one, pattern)
    if left or "%" in _FORMAT.sub("", pattern):
        raise TemplateError(f"`{{{{{action}}}}}` is not known here")
    return text

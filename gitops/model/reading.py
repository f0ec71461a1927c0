"""Reading documents with a format number: those of another version of this program, and those that boxes write.

In: JSON. Out: a noun, or a `DocumentError` that names the document and what is wrong with it.
Rule: a reader takes its own format number and the one before, and looks at nothing else before the number.

    read(TypeAdapter(Release), "release.json", data, RELEASE_FORMAT)
"""

from dataclasses import dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from gitops.errors import DocumentError

T = TypeVar("T")


@dataclass(frozen=True)
class _Numbered:
    format: int


_NUMBERED = TypeAdapter(_Numbered)


def read(kind: TypeAdapter[T], name: str, data: bytes | str, own: int) -> T:
    """The document `name` as a noun; `own` is the format number that this version writes.

    Raises:
        DocumentError: another format, or not what the format says.
    """
    try:
        number = _NUMBERED.validate_json(data, strict=True).format
        if number not in (own, own - 1):
            raise DocumentError(f"{name} has format {number}: this version reads {own - 1} and {own}")
        return kind.validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise DocumentError(f"{name} is damaged: {place or 'the whole'}: {first['msg']}") from error

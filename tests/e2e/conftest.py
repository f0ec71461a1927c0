"""What the stories of real boxes share."""

from collections.abc import Iterator

import pytest

from tests.e2e.field import Field
from tests.kit import built


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    """The fleet in the field, alone with it: whoever comes second waits."""
    with built.alone("field"):
        made = Field(built.FIELD)
        made.apply()
        made.serve()
        yield made
        made.close()

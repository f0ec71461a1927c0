"""What the stories of real boxes share."""

from collections.abc import Iterator

import pytest

from tests.e2e.field import STATIC, Field
from tests.kit import built


@pytest.fixture(scope="session")
def field() -> Iterator[Field]:
    """The fleet in the field, alone with it: one process tells all of its stories."""
    with built.alone("field"):
        made = Field(built.FIELD, STATIC)
        made.apply()
        made.serve()
        yield made
        made.close()

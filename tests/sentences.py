"""What a mistake of the user is answered with."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.cells.tiny import as_users_come

from fastslow._checks import UserError


@contextmanager
def refused(match: str) -> Iterator[None]:
    """Expects one sentence that matches, without the type checks of the tests, which would stop a mistake before."""
    with as_users_come(), pytest.raises(UserError, match=match) as caught:
        yield
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert sentence.replace("eq. ", "").count(". ") == 0

"""Requests are made one at a time, as with a fast Mavera, unless a test asks for more."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from activate.mavera import Turns


@pytest.fixture(autouse=True)
def _one_at_a_time() -> Iterator[None]:
    """Keep a slow machine from sending requests side by side where a test follows one by one."""
    with patch.object(Turns, "most_at_once", 1):
        yield

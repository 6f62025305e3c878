"""The provider that the sandbox plays, with a book of its own for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from running import sandbox_process


@pytest.fixture(scope="session")
def sandbox() -> Iterator[str]:
    with sandbox_process() as address:
        yield address

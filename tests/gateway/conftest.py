"""A running gateway with the sandbox behind it, and what both of them count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from books import Books
from running import Deployment, deployment, sandbox_process


@pytest.fixture(scope="session")
def sandbox() -> Iterator[str]:
    """The provider that the sandbox plays, for all tests of a worker."""
    with sandbox_process() as address:
        yield address


@pytest.fixture(scope="module")
def gateway(sandbox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A gateway with the usual configuration, for all tests of a module."""
    with deployment(tmp_path_factory.mktemp("gateway"), sandbox) as made:
        yield made


@pytest.fixture
def books(gateway: Deployment) -> Books:
    return Books(gateway)

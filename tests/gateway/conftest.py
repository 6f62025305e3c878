"""A running gateway with the sandbox behind it, and what both of them count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from books import Books
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import Deployment, deployment, sandbox_process
from watched import Watched


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


def _short_reply(conversation: Conversation) -> None:
    conversation.answer(json_reply({"id": "r"}))


@pytest.fixture(scope="module")
def module_watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    with RoughUpstream(_short_reply) as rough, deployment(folder, rough.url) as made:
        yield Watched(made, rough)


@pytest.fixture
def watched(module_watched: Watched) -> Watched:
    """A gateway before a provider that keeps every byte it is sent; nothing was sent yet."""
    module_watched.forget()
    return module_watched

"""A running gateway with the sandbox behind it, and the official SDKs that call it."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest
from google import genai

from bedrock_client import Amazon, bedrock_gateway
from bedrock_upstream import FakeBedrock
from books import Books
from running import Deployment, deployment, sandbox_process
from sdk_clients import anthropic_client, google_client, openai_client


@pytest.fixture(scope="session")
def sandbox() -> Iterator[str]:
    """The provider that the sandbox plays, for all tests of a worker."""
    with sandbox_process() as address:
        yield address


@pytest.fixture(scope="module")
def gateway(sandbox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A gateway with the usual configuration, for all tests of a module."""
    with deployment(tmp_path_factory.mktemp("clients"), sandbox) as made:
        yield made


@pytest.fixture
def books(gateway: Deployment) -> Books:
    return Books(gateway)


@pytest.fixture(scope="module")
def openai_sdk(gateway: Deployment) -> Iterator[openai.OpenAI]:
    with openai_client(gateway.url, gateway.key) as client:
        yield client


@pytest.fixture(scope="module")
def anthropic_sdk(gateway: Deployment) -> Iterator[anthropic.Anthropic]:
    with anthropic_client(gateway.url, gateway.key) as client:
        yield client


@pytest.fixture(scope="module")
def google_sdk(gateway: Deployment) -> Iterator[genai.Client]:
    with google_client(gateway.url, gateway.key) as client:
        yield client


@pytest.fixture(scope="module")
def bedrock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, FakeBedrock]]:
    """A gateway before a provider that checks AWS's signatures."""
    with bedrock_gateway(tmp_path_factory.mktemp("bedrock")) as made:
        yield made


@pytest.fixture
def amazon(
    bedrock: tuple[Deployment, FakeBedrock], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Amazon]:
    """AWS's own client of that gateway."""
    made = Amazon(*bedrock, monkeypatch)
    yield made
    made.close()

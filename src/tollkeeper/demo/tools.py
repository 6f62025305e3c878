"""The tools of the made-up company: coding agents and SDKs, and where their calls go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Api(NamedTuple):
    """How a provider is called: the operator's name for it, the book's, the path and dialect."""

    provider: str
    price_provider: str
    endpoint: str
    wire: str


MESSAGES: Final = Api("anthropic", "anthropic", "messages", "anthropic")
RESPONSES: Final = Api("openai", "openai", "responses", "openai")
CHAT: Final = Api("openai", "openai", "chat/completions", "openai")
EMBEDDINGS: Final = Api("openai", "openai", "embeddings", "openai")
GEMINI: Final = Api("google", "google", "generateContent", "gemini")
KIMI: Final = Api("moonshot", "moonshotai", "chat/completions", "openai")
MISTRAL: Final = Api("mistral", "mistral", "chat/completions", "openai")
CODEX_LOGIN: Final = Api("chatgpt", "openai", "responses", "openai")
LAB: Final = Api("lab", "", "chat/completions", "openai")
"""A model server of their own, for which nobody has set a price."""


class Model(NamedTuple):
    """A model, at whom, and how often it is chosen."""

    api: Api
    name: str
    weight: int


class Tool(NamedTuple):
    """A tool as the gateway names it. ``versions`` are those of the period, oldest first."""

    name: str
    versions: tuple[str, ...]
    models: tuple[Model, ...]


OPUS: Final = Model(MESSAGES, "claude-opus-5-5", 3)
SONNET: Final = Model(MESSAGES, "claude-sonnet-5-5", 7)
HAIKU: Final = Model(MESSAGES, "claude-haiku-5-5", 3)
SOL: Final = Model(RESPONSES, "gpt-6.1-sol", 6)

_AGENTS: Final = (
    Tool("claude-code", ("2.1.298", "2.1.311", "2.1.329"), (OPUS, SONNET, HAIKU)),
    Tool("codex", ("0.161.0", "0.166.1", "0.169.0"), (SOL, Model(RESPONSES, "gpt-5.4-mini", 2))),
    Tool("kimi-code", ("2.0.4", "2.1.0"), (Model(KIMI, "kimi-k3", 5),)),
    Tool(
        "gemini-cli",
        ("0.58.2", "0.61.0"),
        (Model(GEMINI, "gemini-3.1-pro-preview", 3), Model(GEMINI, "gemini-3.8-flash", 5)),
    ),
    Tool(
        "opencode", ("1.18.33",), (Model(KIMI, "kimi-k3", 2), Model(MISTRAL, "mistral-large-4", 3))
    ),
)
AGENTS: Final[Mapping[str, Tool]] = {tool.name: tool for tool in _AGENTS}

SDK_VERSIONS: Final[Mapping[str, str]] = {
    "anthropic-python": "2.11.0",
    "anthropic-typescript": "1.44.2",
    "openai-python": "3.52.0",
    "openai-node": "7.9.1",
    "google-genai-python": "3.4.0",
    "mistral-python": "2.6.0",
}

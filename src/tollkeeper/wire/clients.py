"""Which tool sent a request, in which version, and the session it belongs to.

One table, drawn from recorded requests of the tools themselves. A tool is what the
User-Agent says, except where that is known to lie or to be missing: Qwen Code takes Claude
Code's name, so only the session header makes a request Claude Code's; Codex names itself in
``originator`` too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from tollkeeper.wire.controls import Controls
from tollkeeper.wire.credentials import HeaderLookup
from tollkeeper.wire.sessions import usable_session

CLAUDE_CODE: Final = "claude-code"
CODEX: Final = "codex"
KIMI_CODE: Final = "kimi-code"
OPENCODE: Final = "opencode"
QWEN_CODE: Final = "qwen-code"
GEMINI_CLI: Final = "gemini-cli"


class Client(NamedTuple):
    """Who called: ``tool`` and ``version`` are "" when the request does not say."""

    tool: str = ""
    version: str = ""
    session_id: str = ""


class _Agent(NamedTuple):
    tool: str
    version: str


_AGENTS_MAX: Final = 4_096
_AGENT_BYTES_MAX: Final = 256
_UNNAMED: Final = _Agent("", "")
# What follows a plus says how a version was built or used ("3.4.0+afc"), not which it is.
_VERSION: Final = r"v?(\d[0-9A-Za-z.-]{0,31})?(?:\+[0-9A-Za-z.+-]{0,64})?"
# Claude Code's name without its session header: an imitation, or a version before the header.
_CLAUDE_CLI: Final = "claude-cli"

# The first pattern that the User-Agent begins with decides.
_TABLE: Final = tuple(
    (re.compile(pattern.replace("VERSION", _VERSION)), tool)
    for pattern, tool in (
        (r"claude-cli/VERSION", _CLAUDE_CLI),
        (r"claude-code/VERSION", CLAUDE_CODE),
        (r"codex[A-Za-z_-]*/VERSION", CODEX),
        (r"GeminiCLI[A-Za-z-]*/VERSION", GEMINI_CLI),
        (r"opencode/VERSION", OPENCODE),
        (r"(?:kimi-code-cli|KimiCLI|kimi-cli)/VERSION", KIMI_CODE),
        (r"QwenCode/VERSION", QWEN_CODE),
        (r"aider/VERSION", "aider"),
        (r"litellm/VERSION", "litellm"),
        (r"(?:Async)?(?:Azure)?OpenAI/Python VERSION", "openai-python"),
        (r"(?:Azure)?OpenAI/JS VERSION", "openai-node"),
        (r"OpenAI/Go VERSION", "openai-go"),
        (r"OpenAI/Java VERSION", "openai-java"),
        (r"OpenAI/Ruby VERSION", "openai-ruby"),
        (r"(?:Async)?Anthropic[A-Za-z]*/Python VERSION", "anthropic-python"),
        (r"Anthropic[A-Za-z]*/JS VERSION", "anthropic-typescript"),
        (r"Anthropic[A-Za-z]*/Go VERSION", "anthropic-go"),
        (r"Anthropic[A-Za-z]*/Java VERSION", "anthropic-java"),
        (r"google-genai-sdk/VERSION gl-python", "google-genai-python"),
        (r"google-genai-sdk/VERSION gl-node", "google-genai-node"),
        (r"google-genai-sdk/VERSION", "google-genai"),
        (r"cohere/VERSION", "cohere-python"),
        (r"mistral-client-python/VERSION", "mistral-python"),
        (r"mistral-client-typescript/VERSION", "mistral-typescript"),
        (r"ai-sdk/[a-z/-]*VERSION|ai/VERSION", "ai-sdk"),
    )
)
# Anything else is taken at its word: "NightlyReport/2.1 (…)" is "nightlyreport".
_PRODUCT: Final = re.compile(rf"([A-Za-z][A-Za-z0-9._-]{{0,39}})(?:/{_VERSION})?(?=[ ;(/]|$)")


class ClientTable:
    """Identifies clients, and remembers what each User-Agent says.

    One per process. What it remembers is bounded, and is only what the header itself said.
    """

    def __init__(self) -> None:
        self._agents: dict[bytes, _Agent] = {}

    def identify(self, header: HeaderLookup, controls: Controls) -> Client:
        """Say who sent a request. ``controls`` are those of its body."""
        user_agent = header(b"user-agent")
        agent = _UNNAMED
        if user_agent is not None:
            agent = self._agents.get(user_agent) or self._learn(user_agent)
        tool, version = agent
        if tool == _CLAUDE_CLI:
            return _claude(version, header, controls)
        if tool != CODEX:
            originator = header(b"originator")
            if originator is not None and originator.startswith(b"codex"):
                tool, version = CODEX, _text(header(b"version"))
        session = _SESSIONS.get(tool, _any_session)(header, controls)
        return Client(tool, version, session)

    def _learn(self, user_agent: bytes) -> _Agent:
        agent = _read_agent(user_agent[:_AGENT_BYTES_MAX].decode("latin-1"))
        if len(self._agents) < _AGENTS_MAX and len(user_agent) <= _AGENT_BYTES_MAX:
            self._agents[user_agent] = agent
        return agent


def _read_agent(user_agent: str) -> _Agent:
    for pattern, tool in _TABLE:
        found = pattern.match(user_agent)
        if found is not None:
            return _Agent(tool, next((group for group in found.groups() if group), ""))
    found = _PRODUCT.match(user_agent)
    if found is None:
        return _UNNAMED
    return _Agent(found[1].lower(), found[2] or "")


def _claude(version: str, header: HeaderLookup, controls: Controls) -> Client:
    session = _from(header, b"x-claude-code-session-id")
    if session:
        return Client(CLAUDE_CODE, version, session)
    if controls.session_id:
        return Client(CLAUDE_CODE, version, controls.session_id)
    # Qwen Code counts its versions from 0; Claude Code left those behind in 2025.
    tool = QWEN_CODE if version.startswith("0.") else _CLAUDE_CLI
    return Client(tool, version, "")


def _claude_session(header: HeaderLookup, controls: Controls) -> str:
    return _from(header, b"x-claude-code-session-id") or controls.session_id


def _codex_session(header: HeaderLookup, controls: Controls) -> str:
    return _from(
        header, b"session-id", b"session_id", b"thread-id", b"conversation_id"
    ) or usable_session(controls.prompt_cache_key)


def _opencode_session(header: HeaderLookup, controls: Controls) -> str:
    return _from(header, b"x-session-id", b"x-session-affinity", b"session-id")


def _kimi_session(header: HeaderLookup, controls: Controls) -> str:
    return controls.session_id or usable_session(controls.prompt_cache_key)


def _body_session(header: HeaderLookup, controls: Controls) -> str:
    return controls.session_id


def _any_session(header: HeaderLookup, controls: Controls) -> str:
    return _from(header, b"x-session-id") or controls.session_id


_SESSIONS: Final[dict[str, Callable[[HeaderLookup, Controls], str]]] = {
    CLAUDE_CODE: _claude_session,
    CODEX: _codex_session,
    OPENCODE: _opencode_session,
    KIMI_CODE: _kimi_session,
    GEMINI_CLI: _body_session,
}


def _from(header: HeaderLookup, *names: bytes) -> str:
    for name in names:
        value = header(name)
        if value:
            session = usable_session(value.decode("latin-1"))
            if session:
                return session
    return ""


def _text(value: bytes | None) -> str:
    return value[:32].decode("latin-1") if value and value.isascii() else ""

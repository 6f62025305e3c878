"""The coding agents that are tried: which package and version, how each is asked one thing.

The versions are pinned, so that a table says what was tried. How an agent is pointed at the
gateway is not written here: that is what ``tollkeeper.services.connect`` prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

PROMPT: Final = "say hi"
ANSWER: Final = "You said"
"""How the sandbox begins every answer that it gives in words."""

NODE_VERSION: Final = "22.23.3"
NODE_MAJOR_MIN: Final = 22
"""Under an older Node, npm installs old versions of some agents without a word."""

NO_FILES: Final[Mapping[str, str]] = {}


class Agent(NamedTuple):
    """One agent. ``tool`` is its name in the ledger, and in the settings that are printed.

    ``arguments`` follow the program; the prompt is among them. ``files`` (below the home
    folder) and ``variables`` are what a person would have answered in the agent's first
    dialogue, and what keeps it from waiting for hosts that it cannot reach; nothing in them
    points at the gateway. ``has_session`` tells that it names its session in each call.
    """

    tool: str
    package: str
    version: str
    program: str
    arguments: tuple[str, ...]
    has_session: bool = True
    files: Mapping[str, str] = NO_FILES
    variables: Mapping[str, str] = NO_FILES
    python: bool = False  # from Python's package index, not from npm


AGENTS: Final = (
    Agent(
        "claude-code",
        "@anthropic-ai/claude-code",
        "2.1.332",
        "claude",
        ("-p", PROMPT),
    ),
    Agent(
        "codex",
        "@openai/codex",
        "0.171.0",
        "codex",
        ("exec", "--skip-git-repo-check", "-m", "gpt-5.4", PROMPT),
    ),
    Agent(
        "gemini-cli",
        "@google/gemini-cli",
        "0.61.0",
        "gemini",
        ("--skip-trust", "-p", PROMPT),
        has_session=False,
    ),
    Agent(
        "kimi-code",
        "@moonshot-ai/kimi-code",
        "2.1.0",
        "kimi",
        ("-p", PROMPT),
    ),
    Agent(
        "opencode",
        "opencode-ai",
        "1.18.33",
        "opencode",
        ("run", PROMPT),
    ),
    Agent(
        "qwen-code",
        "@qwen-code/qwen-code",
        "0.24.4",
        "qwen",
        ("-p", PROMPT),
        has_session=False,
    ),
)

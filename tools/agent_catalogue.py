"""The coding agents that are tried: which package and version, how each is asked one thing.

The versions are pinned, so that a table says what was tried. How an agent is pointed at the
gateway is not written here: that is what ``tollkeeper.services.connect`` prints.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

PROMPT: Final = "say hi"
ANSWER: Final = "You said"
"""How the sandbox begins every answer that it gives in words."""

NODE_VERSION: Final = "22.23.3"
NODE_MAJOR_MIN: Final = 22
"""Under an older Node, npm installs old versions of some agents without a word."""

_LOGIN_CLAIMS: Final = {
    "email": "alice@acme.com",
    "exp": 4_102_444_800,  # 2100: a login that need not be renewed
    "https://api.openai.com/auth": {
        "chatgpt_account_id": "00000000-0000-4000-8000-000000000001",
        "chatgpt_plan_type": "pro",
        "chatgpt_user_id": "user-made-up",
    },
}

NO_FILES: Final[Mapping[str, str]] = {}


class Way(NamedTuple):
    """Another way to point an agent at the gateway, as it is printed beside the first one.

    ``where`` is how its snippet begins, ``provider`` who must be called. ``variables`` and
    ``files`` stand for the vendor's own login, which nobody has here: the sandbox takes any.
    """

    name: str
    where: str
    provider: str
    variables: Mapping[str, str] = NO_FILES
    files: Mapping[str, str] = NO_FILES


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
    ways: tuple[Way, ...] = ()


def _chatgpt_login() -> Mapping[str, object]:
    """Make up what Codex keeps of a login: signed by nobody, and nobody here looks."""
    parts = [{"alg": "none", "typ": "JWT"}, _LOGIN_CLAIMS]
    coded = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    token = ".".join([*coded, "c2lnbmF0dXJl"])
    tokens = {
        "id_token": token,
        "access_token": token,
        "refresh_token": "made-up",
        "account_id": "00000000-0000-4000-8000-000000000001",
    }
    renewed = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return {"OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": renewed}


AGENTS: Final = (
    Agent(
        "claude-code",
        "@anthropic-ai/claude-code",
        "2.1.332",
        "claude",
        ("-p", PROMPT),
        ways=(
            Way("settings.json", "Or ~/.claude/settings.json", "anthropic"),
            Way(
                "own Claude login",
                "Or shell",
                "anthropic",
                {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-made-up-for-this-trial"},
            ),
        ),
    ),
    Agent(
        "codex",
        "@openai/codex",
        "0.171.0",
        "codex",
        ("exec", "--skip-git-repo-check", "-m", "gpt-5.4", PROMPT),
        ways=(
            Way(
                "own ChatGPT login",
                "Or ~/.codex/config.toml",
                "chatgpt",
                files={".codex/auth.json": json.dumps(_chatgpt_login())},
            ),
        ),
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

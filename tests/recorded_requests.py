"""Requests recorded from the tools themselves, and what must be understood of each."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from wire_requests import KEY, Fields


class Seen(NamedTuple):
    """What must be understood of one recorded request."""

    endpoint: str
    path: str
    model: str
    stream: bool
    limit: int | None
    place: str
    tool: str
    version: str
    session: str = ""
    login: str = ""
    provider: str = ""
    asks: bool = False


CLAUDE = "claude-opus-5-5"
BEARER = "authorization"
OWN = "x-tollkeeper-key"
CHAT, RESPONSES, MESSAGES = "chat/completions", "responses", "messages"
STREAM = "streamGenerateContent"
GOLDEN: dict[str, Seen | None] = {
    "aider_anthropic": Seen(
        MESSAGES, "/messages", "claude-x", True, 4096, "x-api-key", "litellm", "1.81.10"
    ),
    "aider_openai": Seen(
        CHAT, "/chat/completions", "fake-model", True, None, BEARER, "openai-python", "2.20.0"
    ),
    "claude_code_apikey": Seen(
        *(MESSAGES, "/messages", CLAUDE, True, 128000, OWN, "claude-code", "2.1.329"),
        "cb4292ba-b42e-45be-b457-f14ea50f5a95",
        login="own key",
    ),
    "claude_code_auth_token": Seen(
        *(MESSAGES, "/messages", CLAUDE, True, 128000, BEARER, "claude-code", "2.1.329"),
        "90a8ee2d-a1a5-4853-9bbf-3b8b87bdd1f7",
    ),
    "claude_code_model_discovery": Seen(
        "models", "/models", "", False, None, BEARER, "claude-code", "2.1.329"
    ),
    "claude_code_oauth_login": Seen(
        *(MESSAGES, "/messages", CLAUDE, True, 128000, OWN, "claude-code", "2.1.329"),
        "c3ef55ff-848f-4bd7-bb3e-e8fad00ced9d",
        login="anthropic",
    ),
    "claude_code_preflight_head": Seen("hello", "/api/hello", "", False, None, "", "bun", "1.4.4"),
    "codex_chatgpt_login_custom_provider": Seen(
        *(RESPONSES, "/responses", "gpt-6.1-sol", True, None, OWN, "codex", "0.169.0"),
        "01a1fb44-60e1-7831-9af8-02f893929f67",
        login="chatgpt",
    ),
    # There is no header to put our key in: it stands in the path, so here it is missing.
    "codex_chatgpt_login_openai_base_url_zstd": Seen(
        *(RESPONSES, "/responses", "gpt-6.1-sol", True, None, BEARER, "codex", "0.169.0"),
        "01a1fb45-6c53-72b2-8cc8-2a1fccbffbf8",
    ),
    "codex_custom_provider": Seen(
        *(RESPONSES, "/responses", "gpt-5-codex", True, None, OWN, "codex", "0.169.0"),
        "01a1fb43-75cf-7452-8fd3-a5fd27c63eb3",
    ),
    "codex_models": Seen(
        *("models", "/models", "", False, None, OWN, "codex", "0.169.0"), login="chatgpt"
    ),
    "codex_openai_base_url_websocket_frame": None,
    "codex_openai_base_url_websocket_upgrade": Seen(
        *("responses/websocket", "/responses", "", False, None, BEARER, "codex", "0.169.0"),
        "01a1fb44-2966-7801-80a5-2ed5ef0dbb23",
    ),
    "gemini_cli_apikey": Seen(
        *(STREAM, "/v1beta/models/gemini-3.8-flash:streamGenerateContent", "gemini-3.8-flash"),
        *(True, None, BEARER, "gemini-cli", "0.61.0"),
    ),
    "gemini_cli_code_assist_login": Seen(
        *(STREAM, "/v1internal:streamGenerateContent", "gemini-3-flash"),
        *(True, None, OWN, "gemini-cli", "0.61.0", "568f0bc5-343c-42a8-87d6-b52809b0d17d"),
        login="code-assist",
        provider="code-assist",
    ),
    "gemini_cli_router_generateContent": Seen(
        *("generateContent", "/v1beta/models/gemini-3.5-flash-lite:generateContent"),
        *("gemini-3.5-flash-lite", False, None, OWN, "gemini-cli", "0.61.0"),
    ),
    "gemini_cli_vertex": Seen(
        STREAM,
        "/v1beta1/publishers/google/models/gemini-3.8-flash:streamGenerateContent",
        *("gemini-3.8-flash", True, None, "x-goog-api-key", "gemini-cli", "0.61.0"),
    ),
    "kimi_code_anthropic_type": Seen(
        *(MESSAGES, "/messages", "claude-x", True, 262144, OWN, "kimi-code", "2.1.0"),
        "session_7058d830-935c-42ed-9859-3c7257feb385",
    ),
    "kimi_code_kimi_type": Seen(
        *(CHAT, "/chat/completions", "kimi-k3", True, 262144, OWN, "kimi-code", "2.1.0"),
        "session_3ed31adf-1033-4c7f-bf9c-d6ca3e69f040",
        asks=True,
    ),
    "kimi_code_oauth_login": Seen(
        *(CHAT, "/coding/v1/chat/completions", "kimi-for-coding", True, 262144, OWN),
        *("kimi-code", "2.1.0", "session_bd6d9d70-97fe-4183-9c53-c8cc1402439e"),
        login="kimi-code",
        provider="kimi-code",
        asks=True,
    ),
    "kimi_code_openai_type": Seen(
        *(CHAT, "/chat/completions", "fake-model", True, 131072, OWN, "kimi-code", "2.1.0"),
        "session_62982961-19dc-4332-a097-b75e402eeb6e",
        asks=True,
    ),
    "kimi_code_responses_type": Seen(
        *(RESPONSES, "/responses", "kimi-k3", True, 262144, BEARER, "kimi-code", "2.1.0"),
        "session_4016c918-bdb7-4715-82b0-64df67780570",
    ),
    "opencode_anthropic": Seen(
        *(MESSAGES, "/messages", "claude-sonnet-4-5", True, 32000, "x-api-key"),
        *("opencode", "1.18.33", "ses_e04a67176ffehaG7b5zXd1VN0j"),
    ),
    "opencode_google": Seen(
        *(STREAM, "/v1beta/models/gemini-2.5-pro:streamGenerateContent", "gemini-2.5-pro"),
        *(True, 32000, "x-goog-api-key", "opencode", "1.18.33", "ses_e04a630c5ffeTFBxlhY8oL1RFd"),
    ),
    "opencode_openai_compatible": Seen(
        *(CHAT, "/chat/completions", "fake-model", True, 32000, BEARER, "opencode", "1.18.33"),
        "ses_e04b90428ffeYDQnrLpaqyeUk9",
        asks=True,
    ),
    "opencode_openai_responses": Seen(
        *(RESPONSES, "/responses", "gpt-5", True, None, BEARER, "opencode", "1.18.33"),
        "ses_e04a66f5effeEAanz3U8JsTa8D",
    ),
    "qwen_code_anthropic": Seen(
        MESSAGES, "/messages", "claude-x", True, 64000, BEARER, "qwen-code", "0.24.4"
    ),
    "qwen_code_openai": Seen(
        *(CHAT, "/chat/completions", "fake-model", True, 32000, BEARER, "qwen-code", "0.24.4"),
        asks=True,
    ),
    "sdk_anthropic_count_tokens": Seen(
        *("messages/count_tokens", "/messages/count_tokens", "m", False, None, BEARER),
        *("anthropic-python", "2.11.0"),
    ),
    "sdk_anthropic_stream": Seen(
        MESSAGES, "/messages", "m", True, 10, BEARER, "anthropic-python", "2.11.0"
    ),
    "sdk_cohere_stream": Seen(
        "chat", "/v2/chat", "m", True, None, BEARER, "cohere-python", "7.3.1"
    ),
    "sdk_google_genai_stream": Seen(
        *(STREAM, "/v1/models/gemini-x:streamGenerateContent", "gemini-x"),
        *(True, None, "x-goog-api-key", "google-genai-python", "3.4.0"),
    ),
    "sdk_litellm_anthropic_stream": Seen(
        MESSAGES, "/messages", "claude-x", True, 4096, "x-api-key", "litellm", "1.106.2"
    ),
    "sdk_litellm_gemini_stream": Seen(
        *(STREAM, "/v1beta/models/gemini-x:streamGenerateContent", "gemini-x"),
        *(True, None, "x-goog-api-key", "litellm", "1.106.2"),
    ),
    "sdk_litellm_openai_stream": Seen(
        CHAT, "/chat/completions", "m", True, None, BEARER, "openai-python", "2.54.0"
    ),
    "sdk_mistral_stream": Seen(
        CHAT, "/chat/completions", "m", True, None, BEARER, "mistral-python", "3.7.0"
    ),
    "sdk_openai_2.54_chat": Seen(
        CHAT, "/chat/completions", "m", False, None, BEARER, "openai-python", "2.54.0"
    ),
    "sdk_openai_3.52_chat_stream": Seen(
        CHAT, "/chat/completions", "m", True, None, BEARER, "openai-python", "3.52.0"
    ),
    "sdk_openai_responses_stream": Seen(
        RESPONSES, "/responses", "m", True, None, BEARER, "openai-python", "2.54.0"
    ),
}

# The recordings used other names for our header and other keys.
OUR_HEADER = "x-gw-"
OLD_KEY = re.compile(r"\bvk[-\w]*")


def load(shared: Path, name: str) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads((shared / "samples/wire" / f"{name}.json").read_text())
    return sample


def headers_of(sample: dict[str, Any], key: str = KEY) -> Fields:
    """Give the headers, with a key of ours in the places where the recording had one."""
    headers: Fields = []
    for name, value in sample["headers"]:
        if name.startswith(OUR_HEADER):
            if any(known == OWN.encode() for known, _ in headers):
                continue
            name = OWN
        headers.append((name.encode(), OLD_KEY.sub(key, value).encode()))
    return headers

"""Which files of a tool hold its settings, and what is to stand in them.

The names are those that ``services.connect`` prints. Unlike there, nothing is left to the shell:
what was written works in every terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tollkeeper.cli.connect_edits import (
    Place,
    Table,
    edit_json,
    edit_toml,
    edit_variables,
    edit_yaml,
    inner,
)
from tollkeeper.cli.connect_files import Edit
from tollkeeper.services.connect import KEY_HEADER, Connection

LOGINS: Final[Mapping[str, str]] = {"claude-code": "Claude", "codex": "ChatGPT"}
"""Tools whose own login can pass through beside our key."""

_KIMI_CONTEXT_TOKENS: Final = 131_072  # Kimi Code wants a number; it shortens what is longer
_HEADERS: Final = "ANTHROPIC_CUSTOM_HEADERS"


def edits(tool: str, to: Connection, home: Path, *, login: bool) -> tuple[Edit, ...]:
    """Give the files to change; none for a tool that has no settings of its own."""
    plan = _PLANS.get(tool)
    return () if plan is None else plan(to, home, login)


def _claude_code(to: Connection, home: Path, login: bool) -> tuple[Edit, ...]:
    def change(content: dict[str, Any]) -> None:
        env = inner(content, "env")
        env["ANTHROPIC_BASE_URL"] = to.url
        others = _other_headers(env.get(_HEADERS))
        if login:  # either of these would win over the login
            env.pop("ANTHROPIC_AUTH_TOKEN", None)
            env.pop("ANTHROPIC_API_KEY", None)
            others.append(f"{KEY_HEADER}: {to.key}")
        else:
            env["ANTHROPIC_AUTH_TOKEN"] = to.key
        if others:
            env[_HEADERS] = "\n".join(others)
        else:
            env.pop(_HEADERS, None)

    return (Edit(home / ".claude/settings.json", lambda text: edit_json(text, change)),)


def _other_headers(value: object) -> list[str]:
    lines = value.split("\n") if isinstance(value, str) and value else []
    return [line for line in lines if line.partition(":")[0].strip().lower() != KEY_HEADER]


def _codex(to: Connection, home: Path, login: bool) -> tuple[Edit, ...]:
    provider: Table = {
        "name": "Tollkeeper",
        "base_url": f"{to.url}/v1",
        "wire_api": "responses",
        **({"requires_openai_auth": True} if login else {}),
        "http_headers": {KEY_HEADER: to.key},
    }
    tables: dict[Place, Table] = {("model_providers", "tollkeeper"): provider}
    return (
        Edit(
            home / ".codex/config.toml",
            lambda text: edit_toml(text, {"model_provider": "tollkeeper"}, tables),
        ),
    )


def _gemini_cli(to: Connection, home: Path, _login: bool) -> tuple[Edit, ...]:
    variables = {"GOOGLE_GEMINI_BASE_URL": to.url, "GEMINI_API_KEY": to.key}
    return _variables_and_sign_in(home / ".gemini", variables, "gemini-api-key")


def _qwen_code(to: Connection, home: Path, _login: bool) -> tuple[Edit, ...]:
    variables = {
        "OPENAI_BASE_URL": f"{to.url}/v1",
        "OPENAI_API_KEY": to.key,
        "OPENAI_MODEL": to.openai_model,
    }
    return _variables_and_sign_in(home / ".qwen", variables, "openai")


def _variables_and_sign_in(
    folder: Path, variables: Mapping[str, str], sign_in: str
) -> tuple[Edit, ...]:
    def change(content: dict[str, Any]) -> None:
        inner(content, "security", "auth")["selectedType"] = sign_in

    return (
        Edit(folder / ".env", lambda text: edit_variables(text, variables)),
        Edit(folder / "settings.json", lambda text: edit_json(text, change)),
    )


def _kimi_code(to: Connection, home: Path, _login: bool) -> tuple[Edit, ...]:
    name = f"tollkeeper/{to.openai_model}"
    tables: dict[Place, Table] = {
        ("providers", "tollkeeper"): {
            "type": "openai",
            "base_url": f"{to.url}/v1",
            "api_key": to.key,
        },
        ("models", name): {
            "provider": "tollkeeper",
            "model": to.openai_model,
            "max_context_size": _KIMI_CONTEXT_TOKENS,
        },
    }
    return (
        Edit(
            home / ".kimi-code/config.toml",
            lambda text: edit_toml(text, {"default_model": name}, tables),
        ),
    )


def _opencode(to: Connection, home: Path, _login: bool) -> tuple[Edit, ...]:
    def change(content: dict[str, Any]) -> None:
        inner(content, "provider")["tollkeeper"] = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Tollkeeper",
            "options": {"baseURL": f"{to.url}/v1", "apiKey": to.key},
            "models": {to.openai_model: {}},
        }
        content["model"] = f"tollkeeper/{to.openai_model}"

    file = home / ".config/opencode/opencode.json"
    return (Edit(file, lambda text: edit_json(text, change)),)


def _aider(to: Connection, home: Path, _login: bool) -> tuple[Edit, ...]:
    values = {
        "openai-api-base": f"{to.url}/v1",
        "openai-api-key": to.key,
        "model": f"openai/{to.openai_model}",
    }
    return (Edit(home / ".aider.conf.yml", lambda text: edit_yaml(text, values)),)


_PLANS: Final[Mapping[str, Callable[[Connection, Path, bool], tuple[Edit, ...]]]] = {
    "claude-code": _claude_code,
    "codex": _codex,
    "gemini-cli": _gemini_cli,
    "kimi-code": _kimi_code,
    "opencode": _opencode,
    "qwen-code": _qwen_code,
    "aider": _aider,
}

"""What to paste into each tool, so that it calls through the gateway with one key.

Names of variables and settings are those that the tools were seen to obey: Claude Code 2.1,
Codex 0.169, Gemini CLI 0.61, Kimi Code 2.1, OpenCode 1.18, Qwen Code 0.24, aider 0.86, and the
Python SDKs openai 3.52, anthropic 2.11 and google-genai 3.4.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

SANDBOX_MODEL: Final = "sandbox/echo"
KEY_HEADER: Final = "x-tollkeeper-key"
KEY_VARIABLE: Final = "TOLLKEEPER_KEY"
PLACEHOLDER: Final = "YOUR_KEY"
_GEMINI_SIGN_IN: Final = {"security": {"auth": {"selectedType": "gemini-api-key"}}}


class Snippet(NamedTuple):
    """A text to paste. ``where`` says into what: a shell, or a file by its name."""

    where: str
    text: str


class ToolSettings(NamedTuple):
    """How to point one tool at the gateway. ``note`` is one sentence, or ""."""

    tool: str
    name: str
    snippets: tuple[Snippet, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the gateway is, the key to use, and a model of each API to try it with."""

    url: str
    key: str = PLACEHOLDER
    openai_model: str = SANDBOX_MODEL
    anthropic_model: str = SANDBOX_MODEL
    gemini_model: str = SANDBOX_MODEL


def tool_settings(to: Connection) -> tuple[ToolSettings, ...]:
    """Give the settings of every tool that is known, the most used first."""
    return (
        _claude_code(to),
        _codex(to),
        _gemini_cli(to),
        _kimi_code(to),
        _opencode(to),
        _qwen_code(to),
        _aider(to),
        _openai_python(to),
        _anthropic_python(to),
        _google_python(to),
        _openai_node(to),
        _anthropic_node(to),
        _google_node(to),
        _openai_compatible(to),
        _curl(to),
    )


def _claude_code(to: Connection) -> ToolSettings:
    variables = {"ANTHROPIC_BASE_URL": to.url, "ANTHROPIC_AUTH_TOKEN": to.key}
    own_login = _exports(
        ANTHROPIC_BASE_URL=to.url, ANTHROPIC_CUSTOM_HEADERS=f"{KEY_HEADER}: {to.key}"
    )
    return ToolSettings(
        "claude-code",
        "Claude Code",
        (
            Snippet("Shell", _exports(**variables)),
            Snippet("Or ~/.claude/settings.json", _json({"env": variables})),
            Snippet("Or shell, with your own Claude login", own_login),
        ),
    )


def _codex(to: Connection) -> ToolSettings:
    head = (
        'model_provider = "tollkeeper"\n\n[model_providers.tollkeeper]\nname = "Tollkeeper"\n'
        f'base_url = {_quoted(f"{to.url}/v1")}\nwire_api = "responses"\n'
    )
    return ToolSettings(
        "codex",
        "Codex",
        (
            Snippet("~/.codex/config.toml", f"{head}env_key = {_quoted(KEY_VARIABLE)}"),
            Snippet("Shell", _exports(**{KEY_VARIABLE: to.key})),
            Snippet(
                "Or ~/.codex/config.toml, with your own ChatGPT login",
                f"{head}requires_openai_auth = true\n"
                f"http_headers = {{ {_quoted(KEY_HEADER)} = {_quoted(to.key)} }}",
            ),
        ),
        "The first lines go above any [section] of the file.",
    )


def _gemini_cli(to: Connection) -> ToolSettings:
    return ToolSettings(
        "gemini-cli",
        "Gemini CLI",
        (
            Snippet("Shell", _exports(GOOGLE_GEMINI_BASE_URL=to.url, GEMINI_API_KEY=to.key)),
            Snippet("~/.gemini/settings.json", _json(_GEMINI_SIGN_IN)),
        ),
        "The file is what choosing “Use Gemini API key” writes; without it, a call from a "
        "script ends with “Invalid auth method selected”.",
    )


def _kimi_code(to: Connection) -> ToolSettings:
    return ToolSettings(
        "kimi-code",
        "Kimi Code",
        (
            Snippet(
                "Shell",
                _exports(
                    KIMI_MODEL_PROVIDER_TYPE="openai",
                    KIMI_MODEL_BASE_URL=f"{to.url}/v1",
                    KIMI_MODEL_API_KEY=to.key,
                    KIMI_MODEL_NAME=to.openai_model,
                ),
            ),
        ),
    )


def _opencode(to: Connection) -> ToolSettings:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Tollkeeper",
        "options": {"baseURL": f"{to.url}/v1", "apiKey": to.key},
        "models": {to.openai_model: {}},
    }
    content = {"provider": {"tollkeeper": provider}, "model": f"tollkeeper/{to.openai_model}"}
    return ToolSettings("opencode", "OpenCode", (Snippet("opencode.json", _json(content)),))


def _qwen_code(to: Connection) -> ToolSettings:
    return ToolSettings(
        "qwen-code",
        "Qwen Code",
        (
            Snippet(
                "Shell",
                _exports(
                    OPENAI_BASE_URL=f"{to.url}/v1",
                    OPENAI_API_KEY=to.key,
                    OPENAI_MODEL=to.openai_model,
                ),
            ),
        ),
    )


def _aider(to: Connection) -> ToolSettings:
    exports = _exports(OPENAI_API_BASE=f"{to.url}/v1", OPENAI_API_KEY=to.key)
    start = f"aider --model {shlex.quote(f'openai/{to.openai_model}')}"
    return ToolSettings("aider", "aider", (Snippet("Shell", f"{exports}\n{start}"),))


def _openai_python(to: Connection) -> ToolSettings:
    text = (
        "from openai import OpenAI\n\n"
        f"client = OpenAI(base_url={_quoted(f'{to.url}/v1')}, api_key={_quoted(to.key)})\n"
        "reply = client.chat.completions.create(\n"
        f"    model={_quoted(to.openai_model)},\n"
        '    messages=[{"role": "user", "content": "Hello"}],\n'
        ")\n"
        "print(reply.choices[0].message.content)"
    )
    return ToolSettings("python-openai", "Python: openai", (Snippet("Python", text),))


def _anthropic_python(to: Connection) -> ToolSettings:
    text = (
        "from anthropic import Anthropic\n\n"
        f"client = Anthropic(base_url={_quoted(to.url)}, api_key={_quoted(to.key)})\n"
        "reply = client.messages.create(\n"
        f"    model={_quoted(to.anthropic_model)},\n"
        "    max_tokens=1024,\n"
        '    messages=[{"role": "user", "content": "Hello"}],\n'
        ")\n"
        "print(reply.content[0].text)"
    )
    return ToolSettings("python-anthropic", "Python: anthropic", (Snippet("Python", text),))


def _google_python(to: Connection) -> ToolSettings:
    text = (
        "from google import genai\n"
        "from google.genai import types\n\n"
        "client = genai.Client(\n"
        f"    api_key={_quoted(to.key)},\n"
        f"    http_options=types.HttpOptions(base_url={_quoted(to.url)}),\n"
        ")\n"
        "reply = client.models.generate_content(\n"
        f'    model={_quoted(to.gemini_model)}, contents="Hello"\n'
        ")\n"
        "print(reply.text)"
    )
    return ToolSettings("python-google-genai", "Python: google-genai", (Snippet("Python", text),))


def _openai_node(to: Connection) -> ToolSettings:
    text = (
        'import OpenAI from "openai";\n\n'
        "const client = new OpenAI({\n"
        f"  baseURL: {_quoted(f'{to.url}/v1')},\n  apiKey: {_quoted(to.key)},\n}});\n"
        "const reply = await client.chat.completions.create({\n"
        f"  model: {_quoted(to.openai_model)},\n"
        '  messages: [{ role: "user", content: "Hello" }],\n'
        "});\n"
        "console.log(reply.choices[0].message.content);"
    )
    return ToolSettings("node-openai", "Node: openai", (Snippet("Node", text),))


def _anthropic_node(to: Connection) -> ToolSettings:
    text = (
        'import Anthropic from "@anthropic-ai/sdk";\n\n'
        "const client = new Anthropic({\n"
        f"  baseURL: {_quoted(to.url)},\n  apiKey: {_quoted(to.key)},\n}});\n"
        "const reply = await client.messages.create({\n"
        f"  model: {_quoted(to.anthropic_model)},\n"
        "  max_tokens: 1024,\n"
        '  messages: [{ role: "user", content: "Hello" }],\n'
        "});\n"
        "console.log(reply.content[0].text);"
    )
    return ToolSettings("node-anthropic", "Node: anthropic", (Snippet("Node", text),))


def _google_node(to: Connection) -> ToolSettings:
    text = (
        'import { GoogleGenAI } from "@google/genai";\n\n'
        "const client = new GoogleGenAI({\n"
        f"  apiKey: {_quoted(to.key)},\n  httpOptions: {{ baseUrl: {_quoted(to.url)} }},\n}});\n"
        "const reply = await client.models.generateContent({\n"
        f'  model: {_quoted(to.gemini_model)},\n  contents: "Hello",\n'
        "});\n"
        "console.log(reply.text);"
    )
    return ToolSettings("node-google-genai", "Node: @google/genai", (Snippet("Node", text),))


def _openai_compatible(to: Connection) -> ToolSettings:
    return ToolSettings(
        "openai",
        "Other tools",
        (
            Snippet("Base URL", f"{to.url}/v1"),
            Snippet("API key", to.key),
            Snippet("Model", to.openai_model),
        ),
        "For tools that ask for an OpenAI base URL, such as Cursor. One that calls from its "
        "maker's servers needs an address that these can reach.",
    )


def _curl(to: Connection) -> ToolSettings:
    return ToolSettings("curl", "curl", (Snippet("Shell", curl(to)),))


def curl(to: Connection) -> str:
    """Give a whole first call as one command."""
    body = json.dumps(
        {"model": to.openai_model, "messages": [{"role": "user", "content": "Hello"}]}
    )
    return (
        f"curl {shlex.quote(f'{to.url}/v1/chat/completions')} \\\n"
        f"  -H {shlex.quote(f'Authorization: Bearer {to.key}')} \\\n"
        f"  -d {shlex.quote(body)}"
    )


def status_line(to: Connection) -> str:
    """Give a command that prints today's spend in one line, for a prompt or a status bar."""
    header = f"Authorization: Bearer {to.key}"
    return f"curl -s -H {shlex.quote(header)} {shlex.quote(f'{to.url}/me?format=line')}"


def status_script() -> Snippet:
    """Give the script that prints the same line, and asks no more often than it should."""
    text = (Path(__file__).parent / "statusline.sh").read_text("ascii")
    return Snippet("~/.claude/tollkeeper-statusline.sh", text.rstrip())


def claude_status_line() -> Snippet:
    """Give the setting that shows the line below Claude Code's prompt."""
    command = "sh ~/.claude/tollkeeper-statusline.sh"
    shown = {"type": "command", "command": command, "refreshInterval": 10}
    return Snippet("~/.claude/settings.json", _json({"statusLine": shown}))


def _exports(**variables: str) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _json(content: object) -> str:
    return json.dumps(content, indent=2)


def _quoted(text: str) -> str:
    """Quote a text as JSON does, which TOML and Python read the same way."""
    return json.dumps(text)

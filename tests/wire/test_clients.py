"""Naming the tool behind a request, also where its User-Agent is borrowed or missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.wire.clients import Client, ClientTable
from tollkeeper.wire.controls import NO_CONTROLS, Controls
from wire_requests import fields, lookup


def identify(controls: Controls = NO_CONTROLS, **named: str) -> Client:
    return ClientTable().identify(lookup(fields(**named)), controls)


@pytest.mark.parametrize(
    ("user_agent", "tool", "version"),
    [
        ("claude-code/2.1.329", "claude-code", "2.1.329"),
        ("codex_cli_rs/0.98.0 (Mac OS 15.1; arm64) iTerm", "codex", "0.98.0"),
        ("codex_vscode/1.2", "codex", "1.2"),
        ("GeminiCLI/0.61.0/gemini-3-flash (linux; x64)", "gemini-cli", "0.61.0"),
        ("KimiCLI/1.52.0", "kimi-code", "1.52.0"),
        ("QwenCode/0.24.4 (linux; x64)", "qwen-code", "0.24.4"),
        ("AsyncOpenAI/Python 2.20.0", "openai-python", "2.20.0"),
        ("AsyncAzureOpenAI/Python 2.20.0", "openai-python", "2.20.0"),
        ("OpenAI/JS 6.34.0", "openai-node", "6.34.0"),
        ("AsyncAnthropic/Python 0.71.0", "anthropic-python", "0.71.0"),
        ("AnthropicBedrock/JS 0.71.0", "anthropic-typescript", "0.71.0"),
        ("google-genai-sdk/1.30.0 gl-node/v22.23.3", "google-genai-node", "1.30.0"),
        ("google-genai-sdk/1.30.0", "google-genai", "1.30.0"),
        ("google-genai-sdk/3.4.0+afc gl-python/3.11.7", "google-genai-python", "3.4.0"),
        ("curl/8.5.0", "curl", "8.5.0"),
        ("python-requests/2.34.2", "python-requests", "2.34.2"),
        ("NightlyReport/2.1 (finance)", "nightlyreport", "2.1"),
        ("Mozilla/5.0 (X11; Linux)", "mozilla", "5.0"),
        ("myapp", "myapp", ""),
        ("", "", ""),
        ("<script>alert(1)</script>", "", ""),
        ("=cmd|' /C calc'!A0", "", ""),
        ("\u00e9t\u00e9/1.0", "", ""),
        ("a" * 400 + "/1.0", "", ""),
    ],
)
def test_user_agents(user_agent: str, tool: str, version: str) -> None:
    assert identify(User_Agent=user_agent) == Client(tool, version, "")


def test_a_request_without_user_agent_is_of_no_tool() -> None:
    assert identify() == Client("", "", "")


def test_only_its_session_makes_a_request_claude_codes() -> None:
    agent = "claude-cli/2.1.329 (external, cli)"
    assert identify(User_Agent=agent, X_Claude_Code_Session_Id="s-1") == Client(
        "claude-code", "2.1.329", "s-1"
    )
    in_body = Controls(session_id="s-2")
    assert identify(in_body, User_Agent=agent) == Client("claude-code", "2.1.329", "s-2")
    assert identify(User_Agent=agent).tool == "claude-cli"
    assert identify(User_Agent="claude-cli/0.24.4 (external, cli)").tool == "qwen-code"


def test_codex_is_known_by_its_originator_too() -> None:
    found = identify(originator="codex_cli_rs", version="0.169.0", session_id="s-1")
    assert found == Client("codex", "0.169.0", "s-1")
    assert identify(User_Agent="codex_exec/0.169.0", thread_id="t-1").session_id == "t-1"
    cached = Controls(prompt_cache_key="p-1")
    assert identify(cached, User_Agent="codex_exec/0.169.0").session_id == "p-1"
    assert identify(User_Agent="opencode/1.0", originator="opencode").tool == "opencode"


def test_a_cache_key_is_a_session_only_for_tools_that_mean_it_so() -> None:
    cached = Controls(prompt_cache_key="p-1")
    assert identify(cached, User_Agent="kimi-code-cli/2.1.0").session_id == "p-1"
    assert identify(cached, User_Agent="OpenAI/Python 3.52.0").session_id == ""


@pytest.mark.parametrize("session", ["x" * 200, "a\tb", "\u00e9", "a\u202eb", " "])
def test_a_session_that_cannot_be_shown_is_left_out(session: str) -> None:
    assert identify(User_Agent="opencode/1.0", x_session_id=session).session_id == ""


@given(st.text(max_size=60))
def test_any_user_agent_gives_something_that_can_be_shown(user_agent: str) -> None:
    header = lookup([(b"user-agent", user_agent.encode("utf-8", "replace"))])
    found = ClientTable().identify(header, NO_CONTROLS)
    for text in found:
        assert text.isascii()
        assert text.isprintable()
        assert len(text) <= 64


def test_what_is_remembered_is_bounded_and_makes_no_difference() -> None:
    table = ClientTable()
    for number in range(6_000):
        header = lookup(fields(User_Agent=f"app{number}/1.{number}"))
        assert table.identify(header, NO_CONTROLS).version == f"1.{number}"
    again = lookup(fields(User_Agent="app5999/1.5999"))
    assert table.identify(again, NO_CONTROLS) == Client("app5999", "1.5999", "")
    assert sum(len(known) for known in vars(table).values()) <= 4_096

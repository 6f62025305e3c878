"""Live traffic of the made-up company: ``python -m tollkeeper.demo.traffic``, beside a server.

The same people and apps as in the history call the running gateway, with their own keys; the
simulated provider answers. How large calls are is asked of it by its own headers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tollkeeper import bootstrap, clock
from tollkeeper.demo import folder
from tollkeeper.demo.callers import Callers
from tollkeeper.demo.company import company_of
from tollkeeper.demo.configuration import HOST
from tollkeeper.demo.dice import Dice
from tollkeeper.demo.people import token_of
from tollkeeper.demo.prices import price_book
from tollkeeper.demo.sessions import Session
from tollkeeper.demo.stories import DAY_US
from tollkeeper.domain import usage as u
from tollkeeper.domain.calls import Profile
from tollkeeper.lifeline import end_with
from tollkeeper.ports import DataFolder, Vault
from tollkeeper.telemetry import spawn

_AGENT_PART: Final = 0.35
_PROMPT_TOKENS_MAX: Final = 6_000
_OUTPUT_TOKENS_MAX: Final = 3_000
_WAIT_S: Final = 60.0
_AT_ONCE_MAX: Final = 200
_BYTES_PER_TOKEN: Final = 4
_WORDS: Final = "Where is the shipment that left the harbour on Monday, and when will it be here? "

_USER_AGENTS: Final[Mapping[str, str]] = {
    "claude-code": "claude-cli/{} (external, cli)",
    "codex": "codex_cli_rs/{}",
    "gemini-cli": "GeminiCLI/{}",
    "kimi-code": "KimiCLI/{}",
    "opencode": "opencode/{}",
    "anthropic-python": "Anthropic/Python {}",
    "anthropic-typescript": "Anthropic/JS {}",
    "openai-python": "OpenAI/Python {}",
    "openai-node": "OpenAI/JS {}",
    "google-genai-python": "google-genai-sdk/{} gl-python/3.13",
    "mistral-python": "mistral-client-python/{}",
}
_PATHS: Final[Mapping[str, str]] = {
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "chat/completions": "/v1/chat/completions",
    "embeddings": "/v1/embeddings",
}


class Traffic:
    """Makes calls, so many a second, until its task is cancelled."""

    def __init__(self, data: DataFolder, port: int, mark: folder.Mark) -> None:
        self._port = port
        self._vault: Vault = bootstrap.open_vault(data)
        company = company_of(mark.now_us, mark.seed)
        self._dice = Dice(clock.now_us())  # every start goes on in another way
        self._callers = Callers(company, self._dice, price_book(company.stories))
        self._open: set[asyncio.Task[None]] = set()

    async def run(self, rate_per_s: float) -> None:
        """Begin a call now and then; what fails, fails as it would for anybody."""
        while True:
            await asyncio.sleep(self._dice.between(0.5, 1.5) / rate_per_s)
            if len(self._open) < _AT_ONCE_MAX:
                task = spawn(self._call(), name="demo call")
                self._open.add(task)
                task.add_done_callback(self._open.discard)

    async def _call(self) -> None:
        now_us = clock.now_us()
        self._callers.on(now_us // DAY_US)
        session: Session
        if self._dice.chance() < _AGENT_PART:
            session = self._callers.agent(*self._callers.somebody(), 1)
        else:
            session = self._callers.app()
        request = self._request(session, session.quantities(self._dice, now_us))
        try:
            async with asyncio.timeout(_WAIT_S):
                reader, writer = await asyncio.open_connection(HOST, self._port)
                try:
                    writer.write(request)
                    while await reader.read(1 << 16):
                        pass
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            await asyncio.sleep(1.0)  # the gateway is being stopped, or has much to do

    def _request(self, session: Session, quantities: Mapping[str, int]) -> bytes:
        profile = session.profile
        prompt = min(sum(quantities.get(name, 0) for name in u.INPUT_TOKENS), _PROMPT_TOKENS_MAX)
        output = min(quantities.get(u.OUTPUT, 1), _OUTPUT_TOKENS_MAX)
        cached = min(quantities.get(u.CACHE_READ, 0), prompt * 3 // 4)
        path, body = body_of(profile, text_of(prompt))
        content = json.dumps(body).encode()
        headers = {
            "host": f"{HOST}:{self._port}",
            "x-tollkeeper-key": token_of(self._vault, profile.key_id),
            "user-agent": user_agent(profile.tool, profile.tool_version),
            "content-type": "application/json",
            "content-length": str(len(content)),
            "connection": "close",
            "x-sandbox-output-tokens": str(output),
            "x-sandbox-cached-tokens": str(cached),
            "x-sandbox-ttft-ms": str(self._dice.size(350, 0.5)),
        } | caller_headers(profile)
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {it}" for name, it in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + content


def user_agent(tool: str, version: str) -> str:
    """Say who calls, as the tool itself does."""
    return _USER_AGENTS[tool].format(version)


def caller_headers(profile: Profile) -> dict[str, str]:
    """Give the headers that say whom a call is for, in which session, and why."""
    found = {}
    if profile.end_customer:
        found["x-tollkeeper-user"] = profile.end_customer
    if profile.tool == "claude-code":
        found["x-claude-code-session-id"] = profile.session_id
    elif profile.session_id:
        found["x-tollkeeper-session"] = profile.session_id
    if profile.tags:
        found["x-tollkeeper-tags"] = ",".join(f"{key}={it}" for key, it in profile.tags.items())
    if profile.flat_rate and profile.provider == "anthropic":
        found["authorization"] = "Bearer sk-ant-oat-simulated"
    elif profile.flat_rate:
        found |= {"authorization": "Bearer simulated", "chatgpt-account-id": "simulated"}
    return found


def body_of(profile: Profile, prompt: str) -> tuple[str, dict[str, Any]]:
    """Give the path and the body of a request, as its API has them."""
    model = profile.model
    if profile.provider in {"lab", "mistral", "moonshot"}:
        model = f"{profile.provider}/{model}"
    if profile.wire == "gemini":
        said = {"role": "user", "parts": [{"text": prompt}]}
        return f"/v1beta/models/{model}:generateContent", {"contents": [said]}
    path = _PATHS[profile.endpoint]
    if profile.endpoint == "embeddings":
        return path, {"model": model, "input": prompt}
    if profile.endpoint == "responses":
        return path, {"model": model, "input": prompt, "stream": profile.streamed}
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "stream": profile.streamed,
    }
    return path, body | ({"max_tokens": 4_096} if profile.wire == "anthropic" else {})


def text_of(tokens: int) -> str:
    """Give a text of about so many tokens."""
    size = tokens * _BYTES_PER_TOKEN
    return (_WORDS * (size // len(_WORDS) + 1))[:size]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make traffic until told to stop; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tollkeeper.demo.traffic")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--ready-fd", type=int, default=-1)
    given = parser.parse_args(arguments)
    mark = folder.mark_of(given.data)
    if mark is None:
        sys.stderr.write("there is no demo in this folder\n")
        return 1
    asyncio.run(_run(Traffic(DataFolder(given.data), given.port, mark), given.rate, given.ready_fd))
    return 0


async def _run(traffic: Traffic, rate_per_s: float, ready_fd: int) -> None:
    loop = asyncio.get_running_loop()
    spawn(end_with(os.getppid()), name="watch-parent")
    running = spawn(traffic.run(rate_per_s), name="demo traffic")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # there is nothing to read again
    if ready_fd >= 0:
        os.write(ready_fd, b"ready\n")
        os.close(ready_fd)
    await asyncio.wait([running])


if __name__ == "__main__":
    sys.exit(main())

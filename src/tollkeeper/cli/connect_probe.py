"""Makes one small call as a tool makes it, and reads back what the gateway wrote down of it.

Nothing but the key is needed, so that it works from any machine that reaches the gateway.
"""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from tollkeeper import __version__
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.services.connect import KEY_HEADER, SANDBOX_MODEL, Connection

_ANSWER_S: Final = 60.0
_RECORDED_S: Final = 15.0
_PAUSE_S: Final = 0.25
_VERSION_S: Final = 10.0
_BODY_BYTES_MAX: Final = 4_000_000
_NUMBER: Final = re.compile(r"\d+\.\d+\.\d+[0-9A-Za-z.-]*")
_CHEAP: Final[Mapping[str, Sequence[str]]] = {
    "anthropic": ("claude-haiku-4-5", "claude-haiku-5-5"),
    "gemini": ("gemini-2.5-flash-lite", "gemini-3.1-flash-lite", "gemini-3.5-flash-lite"),
    "openai": ("gpt-4.1-nano", "gpt-5-nano", "gpt-5.4-nano"),
    "responses": ("gpt-4.1-nano", "gpt-5-nano", "gpt-5.4-nano"),
}
"""What the probe calls where there is no sandbox: a few tokens of the first that may be used."""
_OWN_MODELS: Final = frozenset({"claude-code", "codex", "gemini-cli"})
"""Tools that choose their models themselves; the others are told one by their settings."""
_HELLO: Final = [{"role": "user", "content": "Say: ok"}]


class _Tool(NamedTuple):
    """How a tool's calls look. ``agent`` has {} in the place of its version."""

    wire: str
    program: str
    agent: str


_TOOLS: Final[Mapping[str, _Tool]] = {
    "claude-code": _Tool("anthropic", "claude", "claude-cli/{} (external, cli)"),
    "codex": _Tool("responses", "codex", "codex_cli_rs/{}"),
    "gemini-cli": _Tool("gemini", "gemini", "GeminiCLI/{}"),
    "kimi-code": _Tool("openai", "kimi", "kimi-code-cli/{}"),
    "opencode": _Tool("openai", "opencode", "opencode/{}"),
    "qwen-code": _Tool("openai", "qwen", "QwenCode/{}"),
}
_UNNAMED: Final = _Tool("openai", "", f"tollkeeper-connect/{__version__}")


class Finding(NamedTuple):
    """Something that is missing, and how to mend it."""

    what: str
    remedy: str


class Probe(NamedTuple):
    """What the gateway says of the key, and of the call. ``call`` is None if it says nothing."""

    identity: Mapping[str, Any]
    call_id: str
    call: Mapping[str, Any] | None
    findings: Sequence[Finding]


_NEEDS_LOGIN: Final = Finding(
    "no call was made: there is no sandbox here, and your own login is not ours to use",
    "start the tool once, then look at the page Calls",
)
_NEEDS_MODEL: Final = Finding(
    f"the settings name {SANDBOX_MODEL}, which is not here",
    "say which model the tool is to call: --model NAME",
)


class ProbeFailed(TollkeeperError):
    """The gateway could not be asked, or refused. The message says what to do."""

    code = "probe_failed"


def probe(tool: str, to: Connection, model: str, *, login: bool) -> Probe:
    """Ask who the key is, call once, and wait for the call's entry. Raises ProbeFailed.

    ``model`` is "" for the sandbox's, or a cheap one where there is none.
    """
    known = _TOOLS.get(tool, _UNNAMED)
    version = installed_version(known.program)
    bearer = {"authorization": f"Bearer {to.key}"}
    identity = _me(to, bearer, "")["identity"]
    called = model or _cheapest(to, bearer, known.wire)
    if login and not model and called != SANDBOX_MODEL:
        return Probe(identity, "", None, [_NEEDS_LOGIN])
    if not called:
        raise ProbeFailed(
            "the key is right, but the probe found no cheap model that it may use; "
            "say which to call: --model NAME"
        )
    target, body = _question(known.wire, called)
    headers = _headers(tool, known, version, to.key, login=login)
    status, found, answer = _ask(to.url, "POST", target, headers, json.dumps(body).encode())
    if status != 200:
        raise _refused(status, answer, called)
    call_id = found.get("x-tollkeeper-call-id", "")
    call = _recorded(to, bearer, call_id) if call_id else None
    made = findings(tool, identity, call, version)
    if not model and called != SANDBOX_MODEL and tool not in _OWN_MODELS:
        made.append(_NEEDS_MODEL)
    return Probe(identity, call_id, call, made)


def _cheapest(to: Connection, bearer: Mapping[str, str], wire: str) -> str:
    """Choose what to call of what the key may use; "" when nothing is known to be cheap."""
    status, _, answer = _ask(to.url, "GET", "/v1/models", bearer)
    try:
        listed = {str(each["id"]): each.get("owned_by") for each in json.loads(answer)["data"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        listed = {}
    if status != 200 or "sandbox" in listed.values() or SANDBOX_MODEL in listed:
        return SANDBOX_MODEL
    return next((model for model in _CHEAP[wire] if model in listed), "")


def installed_version(program: str) -> str:
    """Ask the installed tool for its version; "" when it is not there or does not say."""
    path = shutil.which(program) if program else None
    if path is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed name and a fixed argument, no shell
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    number = _NUMBER.search(done.stdout)
    return number[0] if number else ""


def findings(
    tool: str, identity: Mapping[str, Any], call: Mapping[str, Any] | None, version: str
) -> list[Finding]:
    """Say what is missing of a call's attribution, and how to mend it."""
    made = []
    if not identity["user"]:
        made.append(
            Finding("no person", "the key belongs to a team alone; issue one with --user EMAIL")
        )
    if not identity["team"]:
        made.append(Finding("no team", "put the person into a team, or issue a key with --team"))
    if tool not in _TOOLS:
        made.append(
            Finding(
                "the tool's own name is not tried",
                "its calls stand under the name that its library sends; "
                "x-tollkeeper-session groups them",
            )
        )
    elif not version:
        made.append(
            Finding(
                f"no version: {_TOOLS[tool].program} is not installed here, or does not say",
                "its own calls carry it",
            )
        )
    if call is None:
        made.append(
            Finding(
                "the call is not in the ledger yet",
                "look on the page Calls, and at 'tollkeeper doctor' on the gateway's machine",
            )
        )
    elif call["cost_usd"] is None:
        made.append(
            Finding(
                f"no cost: {call['unpriced_reason'] or 'the model has no price'}",
                "fetch prices with 'tollkeeper prices update', or set one with "
                "'tollkeeper prices set'",
            )
        )
    return made


def _headers(tool: str, known: _Tool, version: str, key: str, *, login: bool) -> Mapping[str, str]:
    headers = {
        "content-type": "application/json",
        "user-agent": known.agent.format(version),
        "x-tollkeeper-tags": "probe=connect",
    }
    if login:
        headers[KEY_HEADER] = key
    elif known.wire == "gemini":
        headers["x-goog-api-key"] = key
    else:
        headers["authorization"] = f"Bearer {key}"
    if known.wire == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    if tool == "claude-code":
        headers["x-claude-code-session-id"] = str(uuid.uuid4())
    return headers


def _question(wire: str, model: str) -> tuple[str, Mapping[str, Any]]:
    """Give the target and body of the shortest call of a protocol."""
    match wire:
        case "anthropic":
            return "/v1/messages", {"model": model, "max_tokens": 16, "messages": _HELLO}
        case "responses":
            return "/v1/responses", {"model": model, "input": _HELLO, "store": False}
        case "gemini":
            contents = [{"role": "user", "parts": [{"text": "Say: ok"}]}]
            path = f"/v1beta/models/{quote(model, safe='/')}:generateContent"
            return path, {"contents": contents}
        case _:
            return "/v1/chat/completions", {"model": model, "messages": _HELLO}


def _recorded(to: Connection, bearer: Mapping[str, str], call_id: str) -> Mapping[str, Any] | None:
    deadline_s = time.monotonic() + _RECORDED_S
    while True:
        call: Mapping[str, Any] | None = _me(to, bearer, call_id).get("call")
        if call is not None or time.monotonic() > deadline_s:
            return call
        time.sleep(_PAUSE_S)


def _me(to: Connection, bearer: Mapping[str, str], call_id: str) -> dict[str, Any]:
    target = f"/me?call={quote(call_id, safe='')}" if call_id else "/me"
    status, _, answer = _ask(to.url, "GET", target, bearer)
    try:
        document = json.loads(answer)
    except ValueError:
        document = None
    if status in {401, 403}:
        said = document.get("detail") if isinstance(document, dict) else None
        raise ProbeFailed(f"the gateway does not take the key: {said or f'status {status}'}")
    if status != 200 or not isinstance(document, dict) or "identity" not in document:
        raise ProbeFailed(
            f"{to.url} answers with status {status}, but not as a Tollkeeper does; "
            "is the address right? (--url)"
        )
    return document


def _refused(status: int, answer: bytes, model: str) -> ProbeFailed:
    try:
        error = json.loads(answer)["error"]
        reason = str(error["message"])
    except (ValueError, KeyError, TypeError):
        reason = answer[:200].decode("utf-8", "replace") or "no reason given"
    hint = ""
    if status in {403, 404}:
        hint = "; try with a model that the key may use: --model NAME"
    return ProbeFailed(f"the probe of {model} ended with status {status}: {reason}{hint}")


def _ask(
    url: str, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = HTTPSConnection(host, parts.port, timeout=_ANSWER_S, context=context)
    else:
        connection = HTTPConnection(host, parts.port, timeout=_ANSWER_S)
    try:
        with closing(connection):
            connection.request(method, f"{parts.path}{target}", body, dict(headers))
            reply = connection.getresponse()
            return reply.status, _lower(reply), reply.read(_BODY_BYTES_MAX)
    except (OSError, HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise ProbeFailed(
            f"{url} does not answer: {reason}; start it with 'tollkeeper serve', or say where "
            "it is with --url"
        ) from error


def _lower(reply: HTTPResponse) -> Mapping[str, str]:
    return {name.lower(): value for name, value in reply.getheaders()}

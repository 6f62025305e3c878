"""What a good key may not do, and how each tool is told so that it stops and shows why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from protocols import ALL, ANTHROPIC, GEMINI, OPENAI, RESPONSES, Protocol
from raw_http import Answer, RawConnection, ask, request
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import TEAM, Deployment, deployment, usual_configuration
from tollkeeper import bootstrap, clock
from tollkeeper.ports import Store
from tollkeeper.services import people
from watched import Watched

protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
KEYLESS = "no-key-there"


def _short_reply(conversation: Conversation) -> None:
    conversation.answer(json_reply({"id": "r"}))


@pytest.fixture(scope="module")
def module_watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with RoughUpstream(_short_reply) as rough:
        configuration = usual_configuration(rough.url)
        configuration["providers"]["mistral"] = {}
        configuration["models"][KEYLESS] = "mistral/mistral-small-latest"
        folder = tmp_path_factory.mktemp("rights")
        with deployment(folder, rough.url, configuration) as made:
            yield Watched(made, rough)


def _change(gateway: Deployment, change: Callable[[Store], object]) -> None:
    store = bootstrap.open_store(gateway.folder)
    try:
        change(store)
    finally:
        store.close()


def _status_becomes(gateway: Deployment, data: bytes, status: int) -> Answer:
    """Ask on one open connection until the answer is this; it must be so within moments."""
    deadline_s = time.monotonic() + 10
    with RawConnection(gateway.port) as connection:
        while (answer := connection.send(data).answer()).status != status:
            assert time.monotonic() < deadline_s, answer
            time.sleep(0.02)
            if answer.headers.get("connection") == "close":
                return _status_becomes(gateway, data, status)
        return answer


def _switched_off(watched: Watched, key: str, switch: Callable[[Store], object]) -> None:
    for protocol in ALL:
        assert ask(watched.port, protocol.call(key)).status == 200
    _change(watched.gateway, switch)
    _status_becomes(watched.gateway, OPENAI.call(key), 401)
    sent = len(watched.sent())
    for protocol in ALL:
        answer = ask(watched.port, protocol.call(key))
        fault = protocol.fault(answer)
        assert (fault.status, fault.code) == (401, "key_revoked")
        assert answer.headers["x-should-retry"] == "false"
    assert len(watched.sent()) == sent


def test_a_team_that_is_switched_off_cannot_call_until_it_is_on_again(watched: Watched) -> None:
    gateway, team = watched.gateway, "paused"
    _change(gateway, lambda store: people.ensure_team(store, team, clock.now_us()))
    key = gateway.issue("paused", email="", team=team)
    _switched_off(watched, key, lambda store: people.set_team_active(store, team, False))
    _change(gateway, lambda store: people.set_team_active(store, team, True))
    _status_becomes(gateway, OPENAI.call(key), 200)
    assert ask(watched.port, OPENAI.call(watched.key)).status == 200


def test_the_keys_of_a_person_who_is_switched_off_end_for_good(watched: Watched) -> None:
    gateway, email = watched.gateway, "bob@acme.com"
    _change(gateway, lambda store: people.ensure_user(store, email, TEAM, clock.now_us()))
    key = gateway.issue("bob", email=email)
    _switched_off(watched, key, lambda store: people.deactivate_user(store, email, clock.now_us()))
    _change(gateway, lambda store: people.activate_user(store, email, clock.now_us()))
    _status_becomes(gateway, OPENAI.call(gateway.issue("bob again", email=email)), 200)
    assert ask(watched.port, OPENAI.call(key)).status == 401


class Right(NamedTuple):
    """A key that may do little, and what it is refused."""

    key: dict[str, Any]
    code: str


RIGHTS = {
    "another model": Right({"models": ("gpt-4.1", "claude-opus-*")}, "model_not_allowed"),
    "a glob that does not fit": Right({"models": ("gpt-5*", "*-pro")}, "model_not_allowed"),
    "another case": Right(
        {"models": ("GPT-4.1-mini", "Claude-*", "Gemini-*")},
        "model_not_allowed",
    ),
    "another provider": Right({"providers": ("lab",)}, "provider_not_allowed"),
    "both": Right({"providers": ("lab",), "models": ("qwen3",)}, "provider_not_allowed"),
}


@protocols
@pytest.mark.parametrize("name", RIGHTS)
def test_what_a_key_may_not_use_is_refused_and_recorded(
    watched: Watched, protocol: Protocol, name: str
) -> None:
    right = RIGHTS[name]
    key = watched.gateway.issue("restricted", **right.key)
    for stream in (False, True):
        answer = ask(watched.port, protocol.call(key, stream=stream))
        fault = protocol.fault(answer)
        assert (fault.status, fault.code) == (403, right.code)
        assert answer.headers["x-should-retry"] == "false"
        assert answer.headers["x-tollkeeper-call-id"]
    assert watched.entries(2) == [("refused", right.code)] * 2
    entry = watched.gateway.entries()[-1]
    assert (entry.cost_nanos, entry.status, entry.key_name) == (0, 403, "restricted")
    assert not watched.sent()


DISGUISES = (
    *("GPT-4.1-mini", "gpt-4.1-mini ", " gpt-4.1-mini", "gpt\u20114.1-mini", "gpt-4.1-m\u0456ni"),
    *("\uff47pt-4.1-mini", "gpt-4.1-mini\u200b", "gpt-4.1-mini\n", "openai/GPT-4.1-mini"),
    *("gpt-4.1", "gpt-4.1-mini-2", "gpt-4.1-min", "openai//gpt-4.1-mini", "lab/gpt-4.1-mini"),
)


@pytest.mark.parametrize("model", DISGUISES)
def test_only_the_very_model_is_allowed(watched: Watched, model: str) -> None:
    """M14: nothing is folded, trimmed or normalised before the rights are looked at."""
    key = watched.gateway.issue("one", models=("gpt-4.1-mini",), providers=("openai",))
    assert ask(watched.port, OPENAI.call(key)).status == 200
    for protocol in (OPENAI, RESPONSES):
        assert ask(watched.port, protocol.call(key, model=model)).status in {400, 403, 404}
    assert len(watched.sent()) == 1


def test_rights_hold_on_every_way_to_a_provider(watched: Watched) -> None:
    key = watched.gateway.issue("narrow", models=("gpt-4.1-mini",), providers=("openai",))
    headers = {"authorization": f"Bearer {key}"}
    body = dict(OPENAI.body) | {"model": "gpt-4.1"}
    for path in (
        "/providers/openai/v1/chat/completions",
        "/openai/deployments/gpt-4.1/chat/completions",
        "/providers/lab/v1/chat/completions",
        "/providers/openai/v1/anything/else",
        f"/k/{key}/v1/chat/completions",
    ):
        answer = ask(watched.port, request(path, body, headers))
        assert answer.status == 403, (path, answer)
    assert not watched.sent()


def test_an_alias_leads_to_nothing_that_its_caller_may_not_use(watched: Watched) -> None:
    """``fast`` is openai/gpt-4.1-mini here: the model that is called is what counts."""
    for models, status in ((("fast",), 403), (("gpt-4.1-mini",), 200)):
        key = watched.gateway.issue("alias", models=models)
        assert ask(watched.port, OPENAI.call(key, model="fast")).status == status
    assert len(watched.sent()) == 1


def test_a_provider_without_a_key_is_said_so_before_anything_is_sent(watched: Watched) -> None:
    for data in (
        OPENAI.call(watched.key, model=KEYLESS),
        OPENAI.call(watched.key, model="mistral/mistral-large-latest", stream=True),
        request(
            "/providers/mistral/v1/chat/completions",
            dict(OPENAI.body),
            {"authorization": f"Bearer {watched.key}"},
        ),
    ):
        fault = OPENAI.fault(ask(watched.port, data))
        assert (fault.status, fault.code) == (503, "provider_key_missing")
        assert "tollkeeper providers set mistral" in fault.message
    assert watched.entries(3) == [("refused", "provider_key_missing")] * 3
    assert not watched.sent()


# ---------------------------------------------------------------------- as each tool shows it


CLAUDE = {
    "user-agent": "claude-cli/2.1.329 (external, cli)",
    "x-claude-code-session-id": "c3ef55ff-848f-4bd7-bb3e-e8fad00ced9d",
}
CODEX = {"user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64)", "originator": "codex_exec"}


def _refusals(
    watched: Watched, protocol: Protocol, headers: dict[str, str | None]
) -> Iterator[Answer]:
    """An unknown key, a model that is not allowed, a body that cannot be read."""
    key = watched.gateway.issue("tool", providers=("nobody",))
    yield ask(watched.port, protocol.call("tk_live_nonsense", headers))
    yield ask(watched.port, protocol.call(key, headers))
    yield ask(watched.port, protocol.call(watched.key, headers, body=b"{"))


def test_claude_code_is_told_not_to_try_again(watched: Watched) -> None:
    """Without that header it repeats a 401 for more than a minute, in silence."""
    statuses = []
    for answer in _refusals(watched, ANTHROPIC, dict(CLAUDE)):
        fault = ANTHROPIC.fault(answer)
        assert fault.message
        assert answer.headers["x-should-retry"] == "false"
        assert answer.headers["request-id"] == answer.headers["x-tollkeeper-call-id"]
        assert answer.json()["request_id"] == answer.headers["request-id"]
        statuses.append(fault.status)
    assert statuses == [401, 403, 400]
    assert not watched.sent()


@pytest.mark.parametrize("path", ["/v1/responses", "/openai/v1/responses", "/responses"])
def test_codex_gets_the_one_refusal_that_it_shows_at_once(watched: Watched, path: str) -> None:
    """Every other status it tries six times; and of a JSON body it prints the raw text."""
    protocol = RESPONSES._replace(path=path)
    for answer in _refusals(watched, protocol, dict(CODEX)):
        assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (
            400,
            "text/plain",
        )
        text = answer.body.decode()
        assert "\n" not in text
        assert answer.headers["x-tollkeeper-call-id"] in text
        assert not text.startswith("{")
    assert not watched.sent()


@pytest.mark.parametrize(
    ("protocol", "agent"),
    [
        (GEMINI, "GeminiCLI-tui/0.61.0/gemini-3-flash (linux; x64; terminal)"),
        (OPENAI, "opencode/1.18.33 ai-sdk/provider-utils/4.0.23"),
        (ANTHROPIC, "opencode/1.18.33 ai-sdk/provider-utils/4.0.23"),
        (OPENAI, "kimi-code-cli/2.1.0"),
        (OPENAI, "QwenCode/0.24.4 (linux; x64)"),
        (OPENAI, "OpenAI/Python 3.52.0"),
        (ANTHROPIC, "Anthropic/Python 2.11.0"),
        (GEMINI, "google-genai-sdk/3.4.0 gl-python/3.11.7"),
        (RESPONSES, "OpenAI/Python 3.52.0"),
    ],
)
def test_other_tools_get_the_plain_status_in_their_protocol(
    watched: Watched, protocol: Protocol, agent: str
) -> None:
    faults = [
        protocol.fault(answer) for answer in _refusals(watched, protocol, {"user-agent": agent})
    ]
    assert [fault.status for fault in faults] == [401, 403, 400]
    assert all(fault.message for fault in faults)
    if protocol is GEMINI:
        kinds = [fault.kind for fault in faults]
        assert kinds == ["UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT"]
    assert not watched.sent()

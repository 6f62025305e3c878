"""The configuration changes while calls run: none of them fails, and a fault changes nothing."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from canaries import PLANTED
from protocols import ALL, OPENAI
from raw_http import Answer, RawConnection, ask, get
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import Deployment, deployment, usual_configuration
from watched import Watched

RELOADS = 50
KEYS = ("sk-canary-reload-odd-0001", "sk-canary-reload-even-0002")
TAKEN_OVER = "configuration taken over"
NOT_TAKEN_OVER = "configuration not taken over"


def _echo(conversation: Conversation) -> None:
    """Answer with the credential that the request came with."""
    head = conversation.head.decode("latin-1").lower()
    used = [number for number, key in enumerate(KEYS) if key in head]
    conversation.answer(json_reply({"id": "r", "used": used}))


@pytest.fixture(scope="module")
def module_watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("reload")
    with RoughUpstream(_echo) as rough, deployment(folder, rough.url) as made:
        yield Watched(made, rough)


def _until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline_s, "it never was"
        time.sleep(0.01)


def _signal(gateway: Deployment) -> None:
    assert gateway.gateway is not None
    gateway.gateway.signal(signal.SIGHUP)


def _reload(gateway: Deployment, *, text: str = TAKEN_OVER) -> None:
    """Ask for a reload and wait until the log tells of it."""
    before = gateway.logs().count(text)
    _signal(gateway)
    _until(lambda: gateway.logs().count(text) > before)


def _with_key(gateway: Deployment, number: int) -> dict[str, Any]:
    configuration = usual_configuration(gateway.upstream)
    configuration["providers"]["openai"]["api_key"] = KEYS[number]
    return configuration


def test_no_call_fails_while_the_configuration_changes(watched: Watched) -> None:
    """Each call goes with one whole configuration: the one before, or the one after."""
    gateway, stop = watched.gateway, threading.Event()
    gateway.configure(_with_key(gateway, 0))
    _reload(gateway)
    answers: list[Answer] = []

    def keep_calling(number: int) -> None:
        with RawConnection(gateway.port) as connection:
            while not stop.is_set():
                protocol = ALL[number % len(ALL)]
                answers.append(connection.send(protocol.call(gateway.key)).answer())

    callers = [threading.Thread(target=keep_calling, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    for turn in range(RELOADS):
        gateway.configure(_with_key(gateway, turn % 2))
        _reload(gateway)
    stop.set()
    for caller in callers:
        caller.join(20)
    assert {answer.status for answer in answers} == {200}
    assert len(answers) > RELOADS
    assert len(watched.sent()) == len(answers)
    used = [answer.json()["used"] for answer in answers]
    assert {tuple(each) for each in used} == {(), (0,), (1,)}
    assert {outcome for outcome, _ in watched.entries(len(answers))} == {"ok"}


def test_a_change_of_the_file_is_noticed_without_a_signal(watched: Watched) -> None:
    gateway = watched.gateway
    for number in (0, 1):
        gateway.configure(_with_key(gateway, number))
        _until(lambda: ask(gateway.port, OPENAI.call(gateway.key)).json()["used"] == [number])  # noqa: B023


FAULTS: dict[str, tuple[str, str]] = {
    "no YAML": ("providers: [", "tollkeeper.yaml"),
    "a list": ("- a\n- b\n", "tollkeeper.yaml"),
    "an unknown option": ("providers: {}\nlimit: {}\n", "tollkeeper.yaml:2"),
    "a word for a number": ("limits:\n  body_mb: many\n", "tollkeeper.yaml:2"),
    "a negative limit": ("limits:\n\n  body_mb: -1\n", "tollkeeper.yaml:3"),
    "an unknown provider": ("providers:\n  nobody: {api_key: x}\n", "tollkeeper.yaml:2"),
    "a variable that is not set": (
        "providers:\n  openai: {api_key: ${NOT_SET_ANYWHERE}}\n",
        "NOT_SET_ANYWHERE",
    ),
    "an alias for nothing": ("models:\n  fast: [nobody/model]\n", "tollkeeper.yaml:2"),
    "a later version's section": ("budgets: [{scope: org}]\n", "tollkeeper.yaml:1"),
    "bytes that are no text": ("\udcff\udcfe", "tollkeeper.yaml"),
    "TLS by half": ("listen: {tls_cert: x}\n", "tollkeeper.yaml:1"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_leaves_the_old_configuration_and_is_shown(watched: Watched, name: str) -> None:
    gateway, (text, place) = watched.gateway, FAULTS[name]
    gateway.configure(_with_key(gateway, 0))
    _reload(gateway)
    gateway.config_file.write_bytes(text.encode("utf-8", "surrogateescape"))
    _reload(gateway, text=NOT_TAKEN_OVER)
    line = [line for line in gateway.logs().splitlines() if NOT_TAKEN_OVER in line][-1]
    assert place in line
    ready = get(gateway.port, "/readyz")
    assert (ready.status, ready.json()["configuration"]) == (200, False)
    assert b"tollkeeper_configuration_faulty 1.0" in get(gateway.port, "/metrics").body
    assert ask(gateway.port, OPENAI.call(gateway.key)).json()["used"] == [0]
    gateway.configure(_with_key(gateway, 1))
    _reload(gateway)
    assert get(gateway.port, "/readyz").json()["configuration"] is True
    assert b"tollkeeper_configuration_faulty 0.0" in get(gateway.port, "/metrics").body
    assert ask(gateway.port, OPENAI.call(gateway.key)).json()["used"] == [1]


def test_metrics_are_for_whoever_has_their_token(watched: Watched) -> None:
    """As soon as there is one, this machine needs it too."""
    gateway = watched.gateway
    token = PLANTED.plant("the token of the metrics", "metrics-token-canary-61")
    gateway.configure({**_with_key(gateway, 0), "metrics": {"token": token}})
    _reload(gateway)
    wrong = (None, "Bearer", "Bearer x", f"Bearer {token}x", f"bearer  {token}", f"Basic {token}x")
    for given in wrong:
        refused = get(gateway.port, "/metrics", {"authorization": given})
        assert refused.status == 403, given
        assert b"tollkeeper_" not in refused.body
    good = {"authorization": f"Bearer {token}", "x-forwarded-for": "198.51.100.7"}
    assert b"tollkeeper_" in get(gateway.port, "/metrics", good).body
    gateway.configure(_with_key(gateway, 0))
    _reload(gateway)
    assert get(gateway.port, "/metrics").status == 200


def test_a_file_that_is_gone_leaves_the_old_configuration(watched: Watched) -> None:
    gateway = watched.gateway
    gateway.configure(_with_key(gateway, 0))
    _reload(gateway)
    gateway.config_file.unlink()
    _reload(gateway, text=NOT_TAKEN_OVER)
    assert ask(gateway.port, OPENAI.call(gateway.key)).json()["used"] == [0]
    gateway.configure(_with_key(gateway, 0))
    _reload(gateway)


def test_limits_and_aliases_follow_the_file(watched: Watched) -> None:
    gateway = watched.gateway
    changed = _with_key(gateway, 0) | {"models": {"quick": "lab/qwen3"}}
    big = OPENAI.call(gateway.key, pad="x" * (2 << 20))
    for body_mb, status in ((1, 413), (32, 200)):
        gateway.configure(changed | {"limits": {"body_mb": body_mb}})
        _reload(gateway)
        assert ask(gateway.port, big).status == status
        assert ask(gateway.port, OPENAI.call(gateway.key, model="quick")).status == 200
        assert b'"qwen3"' in watched.sent()[-1]
    gateway.configure(_with_key(gateway, 0))
    _reload(gateway)
    assert ask(gateway.port, OPENAI.call(gateway.key, model="quick")).status == 404


def test_a_provider_that_is_removed_is_unknown(watched: Watched, tmp_path: Path) -> None:
    gateway = watched.gateway
    configuration = _with_key(gateway, 0)
    configuration["providers"] = {"openai": configuration["providers"]["openai"]}
    gateway.configure(configuration | {"models": {}})
    _reload(gateway)
    for protocol in ALL:
        answer = ask(gateway.port, protocol.call(gateway.key))
        if protocol.provider == "openai":
            assert answer.status == 200
        else:
            assert protocol.fault(answer).status == 404
    gateway.configure(_with_key(gateway, 0))
    _reload(gateway)

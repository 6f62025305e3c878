"""Keys that are bound to networks, and keys with two secrets, on real calls."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from canaries import PLANTED
from protocols import ALL, OPENAI, Protocol
from raw_http import Answer, ask, request
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import Deployment, deployment, usual_configuration
from tollkeeper import bootstrap, clock
from tollkeeper.services import keys
from tollkeeper.services.key_rotation import Rotation, rotate
from watched import Watched

protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
ELSEWHERE = ("10.0.0.0/8", "2001:db8::/32")


def _short_reply(conversation: Conversation) -> None:
    conversation.answer(json_reply({"id": "r"}))


@pytest.fixture(scope="module")
def module_watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with RoughUpstream(_short_reply) as rough:
        configuration = usual_configuration(rough.url)
        configuration["listen"] = {"trusted_proxies": ["127.0.0.0/8", "192.0.2.0/24"]}
        with deployment(tmp_path_factory.mktemp("bound"), rough.url, configuration) as made:
            yield Watched(made, rough)


def _rotate(gateway: Deployment, token: str, overlap_us: int) -> str:
    store = bootstrap.open_store(gateway.folder)
    try:
        wanted = Rotation(token.split("_")[2], overlap_us)
        vault = bootstrap.open_vault(gateway.folder)
        fresh = rotate(store, vault, wanted, keys.OPERATOR, clock.now_us()).token
        PLANTED.plant("a rotated secret", fresh.rpartition("_")[2])
        return fresh
    finally:
        store.close()


def _asked(watched: Watched, key: str, *forwarded: str) -> Answer:
    lines = b"".join(b"X-Forwarded-For: %b\r\n" % each.encode() for each in forwarded)
    head, _, rest = OPENAI.call(key).partition(b"\r\n")
    return ask(watched.port, head + b"\r\n" + lines + rest)


@protocols
def test_a_call_from_elsewhere_is_refused_and_costs_nothing(
    watched: Watched, protocol: Protocol
) -> None:
    key = watched.gateway.issue(f"bound {protocol.name}", networks=ELSEWHERE)
    for stream in (False, True):
        answer = ask(watched.port, protocol.call(key, stream=stream))
        fault = protocol.fault(answer)
        assert (fault.status, fault.code) == (403, "address_not_allowed")
        assert answer.headers["x-should-retry"] == "false"
    assert watched.entries(1) == [("refused", "address_not_allowed")]
    entry = watched.gateway.entries()[-1]
    assert (entry.cost_nanos, entry.status) == (0, 403)
    assert not watched.sent()


def test_models_are_not_listed_elsewhere_either(watched: Watched) -> None:
    bound = watched.gateway.issue("list", networks=ELSEWHERE)
    for key, status in ((bound, 403), (watched.key, 200)):
        listing = request("/v1/models", b"", {"authorization": f"Bearer {key}"}, method="GET")
        assert ask(watched.port, listing).status == status


def test_only_a_trusted_proxy_says_where_a_call_comes_from(watched: Watched) -> None:
    key = watched.gateway.issue("behind proxies", networks=ELSEWHERE)
    for forwarded, status in (
        (("10.1.2.3",), 200),
        (("::ffff:10.1.2.3",), 200),
        (("2001:db8::7",), 200),
        (("10.1.2.3", "192.0.2.9"), 200),  # two lines are one list
        (("8.8.8.8, 10.1.2.3",), 200),
        (("10.1.2.3, 8.8.8.8",), 403),  # what the caller wrote stands left of it
        (("10.1.2.3", "8.8.8.8"), 403),
        (("unknown",), 403),
        (("10.1.2.3,",), 403),
        ((), 403),
    ):
        for _ in range(2):  # the second finds the head remembered
            assert _asked(watched, key, *forwarded).status == status, forwarded


def test_both_secrets_call_until_the_old_one_is_over(watched: Watched) -> None:
    gateway = watched.gateway
    first = gateway.issue("rotated")
    assert ask(watched.port, OPENAI.call(first)).status == 200
    second = _rotate(gateway, first, 3_600_000_000)
    deadline_s = time.monotonic() + 10
    while ask(watched.port, OPENAI.call(second)).status != 200:
        assert time.monotonic() < deadline_s
    for token in (first, second, first, second):
        assert ask(watched.port, OPENAI.call(token)).status == 200
    third = _rotate(gateway, first, 0)
    while ask(watched.port, OPENAI.call(third)).status != 200:
        assert time.monotonic() < deadline_s
    fault = OPENAI.fault(ask(watched.port, OPENAI.call(second)))
    assert (fault.status, fault.code) == (401, "key_rotated")
    assert OPENAI.fault(ask(watched.port, OPENAI.call(first))).code == "key_unknown"
    ids = {entry.key_id for entry in gateway.entries() if entry.key_name == "rotated"}
    assert len(ids) == 1

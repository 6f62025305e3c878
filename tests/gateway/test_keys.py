"""Keys at a running gateway: which are refused, how, what that costs, and where they never go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from books import Books
from canaries import LOGIN
from protocols import ALL, ANTHROPIC, GEMINI, OPENAI, RESPONSES, Protocol
from raw_http import RawConnection, ask, get, request
from rough_upstream import RoughUpstream, json_reply
from running import Deployment, deployment
from tollkeeper import clock
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.ledger import Basis
from tollkeeper.gateway.process import REFRESH_S

protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])
HOUR_US = 3_600 * 1_000_000


def _other_key(gateway: Deployment) -> str:
    return gateway.issue("second")


def _admin(gateway: Deployment) -> str:
    return gateway.issue("manager", kind=KeyKind.ADMIN, email="")


def _revoked(gateway: Deployment) -> str:
    key = _other_key(gateway)
    gateway.revoke(key)
    return key


def _expired(gateway: Deployment) -> str:
    key = gateway.issue("short", expires_at_us=clock.now_us() + 300_000)
    time.sleep(0.31)
    return key


def _unknown(gateway: Deployment) -> str:
    with_other_id = _other_key(gateway)
    return _with_checksum(with_other_id[:8] + "zZ9zZ9zZ" + with_other_id[16:-6])


def _wrong_secret(gateway: Deployment) -> str:
    key = _other_key(gateway)
    return _with_checksum(key[:17] + key[17:-6].swapcase())


def _with_checksum(body: str) -> str:
    import zlib

    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = alphabet[digit] + digits
    return body + digits


BAD_KEYS: dict[str, tuple[Callable[[Deployment], str], int, str]] = {
    "none": (lambda _: "", 401, "key_missing"),
    "unknown": (_unknown, 401, "key_unknown"),
    "right id, wrong secret": (_wrong_secret, 401, "key_unknown"),
    "mistyped": (lambda gateway: gateway.key[:-1] + "-", 401, "key_malformed"),
    "wrong checksum": (lambda gateway: gateway.key[:-6] + "000000", 401, "key_malformed"),
    "cut short": (lambda gateway: gateway.key[:-1], 401, "key_malformed"),
    "with a tail": (lambda gateway: gateway.key + "x", 401, "key_malformed"),
    "upper case": (lambda gateway: gateway.key.upper(), 401, "key_unknown"),
    "a vendor's": (lambda _: "sk-proj-1234567890abcdef", 401, "key_unknown"),
    "16 KB long": (lambda _: "tk_live_" + "a" * 16_000, 401, "key_malformed"),
    "revoked": (_revoked, 401, "key_revoked"),
    "expired": (_expired, 401, "key_expired"),
    "for management": (_admin, 403, "wrong_key_kind"),
}


@protocols
@pytest.mark.parametrize("case", BAD_KEYS)
def test_a_bad_key_is_refused_in_the_callers_protocol(
    gateway: Deployment, books: Books, protocol: Protocol, case: str
) -> None:
    make, status, code = BAD_KEYS[case]
    key = make(gateway)
    headers = {protocol.key_header: None} if not key else {}
    answer = ask(gateway.port, protocol.call(key, headers))
    fault = protocol.fault(answer)
    assert (fault.status, fault.code) == (status, code)
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-tollkeeper-call-id"]
    assert not key or key not in fault.message
    books.require_untouched()


def test_refusals_of_unknown_keys_are_counted_by_their_reason(gateway: Deployment) -> None:
    ask(gateway.port, OPENAI.call("tk_live_nonsense"))
    page = get(gateway.port, "/metrics").body.decode()
    line = 'tollkeeper_unidentified_refusals_total{code="key_malformed"}'
    assert any(each.startswith(line) and not each.endswith(" 0.0") for each in page.split("\n"))


# ---------------------------------------------------------------------- places


def _bearer(key: str) -> dict[str, str | None]:
    return {"authorization": f"Bearer {key}"}


PLACES: dict[str, Callable[[str], tuple[str, dict[str, str | None]]]] = {
    "authorization": lambda key: ("", _bearer(key)),
    "bearer in lower case": lambda key: ("", {"authorization": f"bearer {key}"}),
    "x-api-key": lambda key: ("", {"x-api-key": key}),
    "x-goog-api-key": lambda key: ("", {"x-goog-api-key": key}),
    "api-key": lambda key: ("", {"api-key": key}),
    "?key=": lambda key: (f"?key={key}", {}),
    "x-tollkeeper-key": lambda key: ("", {"x-tollkeeper-key": key}),
    "/k/": lambda key: (f"/k/{key}", {}),
    "the same one three times": lambda key: (
        f"?key={key}",
        _bearer(key) | {"x-api-key": key},
    ),
}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, RoughUpstream]]:
    """A gateway before a provider that keeps every byte it is sent."""
    folder = tmp_path_factory.mktemp("watched")
    with (
        RoughUpstream(lambda conversation: conversation.answer(json_reply({"id": "r"}))) as rough,
        deployment(folder, rough.url) as made,
    ):
        yield made, rough


def _call(protocol: Protocol, place: str, key: str) -> bytes:
    more, headers = PLACES[place](key)
    path = protocol.path
    path = more + path if more.startswith("/") else path + more
    return request(path, dict(protocol.body), headers)


@protocols
@pytest.mark.parametrize("place", PLACES)
def test_a_key_may_stand_in_every_place_and_never_travels_on(
    watched: tuple[Deployment, RoughUpstream], protocol: Protocol, place: str
) -> None:
    gateway, rough = watched
    rough.requests.clear()
    answer = ask(gateway.port, _call(protocol, place, gateway.key))
    assert answer.status == 200, answer
    (sent,) = rough.requests
    own = {"openai": b"sk-canary-openai-0001", "anthropic": b"sk-canary-anthropic-0002"}
    assert own.get(protocol.provider, b"AIza-canary-google-0003") in sent
    for part in (gateway.key, gateway.key.rpartition("_")[2], "tk_live", "tollkeeper"):
        assert part.encode() not in sent.lower() if part.islower() else part.encode() not in sent


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("", {"authorization": "Bearer {one}", "x-api-key": "{two}"}),
        ("", {"x-api-key": "{one}", "api-key": "{two}"}),
        ("?key={one}", {"x-goog-api-key": "{two}"}),
        ("?key={one}&key={two}", {}),
        ("/k/{one}", {"x-tollkeeper-key": "{two}"}),
        ("/k/{one}", {"authorization": "Bearer {two}"}),
        ("", {"x-tollkeeper-key": "{one}", "x-api-key": "{two}"}),
        ("?key={one}", {"x-tollkeeper-key": "{two}"}),
    ],
)
@protocols
def test_two_different_keys_at_once_are_refused(
    gateway: Deployment, books: Books, protocol: Protocol, path: str, headers: dict[str, str]
) -> None:
    one, two = gateway.key, _other_key(gateway)
    path = path.format(one=one, two=two)
    target = path + protocol.path if path.startswith("/") else protocol.path + path
    fields = {name: value.format(one=one, two=two) for name, value in headers.items()}
    answer = ask(gateway.port, request(target, dict(protocol.body), fields))
    fault = protocol.fault(answer)
    assert (fault.status, fault.code in {"two_keys", "query_ambiguous"}) == (400, True), fault
    assert one not in fault.message
    assert two not in fault.message
    books.require_untouched()


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "x-tollkeeper-key", "api-key"])
def test_one_key_header_twice_is_refused(gateway: Deployment, books: Books, name: str) -> None:
    value = f"Bearer {gateway.key}" if name == "authorization" else gateway.key
    data = OPENAI.call("", {"authorization": None, name: f"{value}\r\n{name.title()}: {value}"})
    assert OPENAI.fault(ask(gateway.port, data)).status == 400
    books.require_untouched()


def test_a_key_is_no_user_name_and_no_cookie(gateway: Deployment, books: Books) -> None:
    import base64

    basic = base64.b64encode(f"{gateway.key}:".encode()).decode()
    for headers in ({"authorization": f"Basic {basic}"}, {"cookie": f"key={gateway.key}"}):
        answer = ask(gateway.port, request(OPENAI.path, dict(OPENAI.body), headers))
        assert OPENAI.fault(answer).status == 401
    books.require_untouched()


# ---------------------------------------------------------------------- a vendor's own login


@pytest.mark.parametrize("place", ["x-tollkeeper-key", "/k/"])
def test_a_login_travels_on_beside_the_key_and_is_kept_nowhere(
    watched: tuple[Deployment, RoughUpstream], place: str
) -> None:
    gateway, rough = watched
    rough.requests.clear()
    before = len(gateway.entries())
    more, headers = PLACES[place](gateway.key)
    data = request(more + ANTHROPIC.path, dict(ANTHROPIC.body), headers | _bearer(LOGIN))
    assert ask(gateway.port, data).status == 200
    (sent,) = rough.requests
    assert b"authorization: Bearer " + LOGIN.encode() in sent
    assert b"canary-anthropic" not in sent
    assert gateway.key.encode() not in sent
    entry = gateway.entries_when(before + 1)[-1]
    assert (entry.basis, entry.cost_nanos, entry.provider) == (Basis.FLAT_RATE, 0, "anthropic")


def test_a_login_in_our_keys_place_is_not_passed_on(gateway: Deployment, books: Books) -> None:
    answer = ask(gateway.port, request(ANTHROPIC.path, dict(ANTHROPIC.body), _bearer(LOGIN)))
    fault = ANTHROPIC.fault(answer)
    assert (fault.status, fault.code) == (401, "key_unknown")
    books.require_untouched()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/{key}", {}),
        ("/k//{key}/v1/models", {}),
        ("/k/k/{key}/v1/chat/completions", {}),
        ("/providers/{key}/v1/chat", {}),
        ("/v1/chat/completions", {"model": "{key}"}),
        ("/v1/chat/completions", {"model": "none/{key}"}),
        ("/v1beta/models/{key}:generateContent", {"contents": []}),
    ],
)
def test_a_key_in_a_wrong_place_is_neither_echoed_nor_written_down(
    gateway: Deployment, path: str, body: dict[str, str]
) -> None:
    """The connection looks for canaries in the reply, the deployment in its files."""
    body = {name: str(value).format(key=gateway.key) for name, value in body.items()}
    answer = ask(gateway.port, request(path.format(key=gateway.key), body, _bearer(gateway.key)))
    assert 400 <= answer.status < 500
    assert gateway.key.encode() not in answer.body


# ---------------------------------------------------------------------- revoking


def test_a_revoked_key_ends_on_open_connections_too(gateway: Deployment) -> None:
    """Within a second: the store is looked at every ``REFRESH_S``, and each look may be late."""
    assert REFRESH_S <= 0.5
    key = _other_key(gateway)
    with RawConnection(gateway.port) as connection:
        for _ in range(3):
            assert connection.send(OPENAI.call(key)).answer().status == 200
        gateway.revoke(key)
        deadline_s = time.monotonic() + 10
        while (answer := connection.send(OPENAI.call(key)).answer()).status == 200:
            assert time.monotonic() < deadline_s, "it goes on"
            time.sleep(0.01)
        assert OPENAI.fault(answer).code == "key_revoked"


def test_revoking_one_key_under_load_stops_that_one_only(gateway: Deployment) -> None:
    other, stop = _other_key(gateway), threading.Event()
    statuses: dict[str, list[int]] = {gateway.key: [], other: []}

    def keep_calling(key: str) -> None:
        with RawConnection(gateway.port) as connection:
            while not stop.is_set():
                answer = connection.send(RESPONSES.call(key)).answer()
                statuses[key].append(answer.status)
                if answer.status != 200:
                    return

    callers = [threading.Thread(target=keep_calling, args=(key,)) for key in statuses]
    for caller in callers:
        caller.start()
    time.sleep(0.2)
    gateway.revoke(other)
    callers[1].join(10)
    assert not callers[1].is_alive()
    revoked_at = len(statuses[gateway.key])
    time.sleep(0.2)
    stop.set()
    callers[0].join(10)
    assert statuses[other][-1] == 401
    assert set(statuses[other][:-1]) == {200}
    assert set(statuses[gateway.key]) == {200}
    assert len(statuses[gateway.key]) > revoked_at


def test_a_stream_of_a_revoked_key_is_settled(gateway: Deployment, books: Books) -> None:
    key = _other_key(gateway)
    slow = {"x-sandbox-chunks": "20", "x-sandbox-gap-ms": "50"}
    with RawConnection(gateway.port) as connection:
        connection.send(GEMINI.call(key, slow, stream=True))
        connection.read_until(b"\r\n\r\n")
        gateway.revoke(key)
        connection.read_until(b"0\r\n\r\n")
    assert books.entry().cost_nanos


def test_an_expired_key_ends_on_an_open_connection(gateway: Deployment) -> None:
    key = gateway.issue("brief", expires_at_us=clock.now_us() + 3_000_000)
    with RawConnection(gateway.port) as connection:
        assert connection.send(OPENAI.call(key)).answer().status == 200
        time.sleep(3.01)
        answer = connection.send(OPENAI.call(key)).answer()
    assert OPENAI.fault(answer).code == "key_expired"


def test_keys_stay_good_while_the_store_cannot_be_read_for_a_moment(
    sandbox: str, tmp_path: Path
) -> None:
    with deployment(tmp_path, sandbox) as gateway:
        assert ask(gateway.port, OPENAI.call(gateway.key)).status == 200
        unknown = _other_key(gateway)
        store = gateway.folder.store
        aside = store.with_suffix(".aside")
        store.rename(aside)
        time.sleep(3 * REFRESH_S)
        assert ask(gateway.port, OPENAI.call(gateway.key)).status == 200
        assert ask(gateway.port, OPENAI.call(unknown)).status in {200, 503}
        aside.rename(store)
        gateway.revoke(unknown)
        deadline_s = time.monotonic() + 10
        while ask(gateway.port, OPENAI.call(unknown)).status != 401:
            assert time.monotonic() < deadline_s, "the store is not looked at again"
            time.sleep(0.05)

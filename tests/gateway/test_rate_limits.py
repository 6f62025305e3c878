"""Rate limits at a real gateway: who passes, what is told, and what clients do then."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from gauges import metrics, wait_for
from protocols import ALL, ANTHROPIC, GEMINI, OPENAI, Protocol
from raw_http import RawConnection, ask
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import EMAIL, Deployment, deployment, usual_configuration
from scripted_provider import CHAT, Scripted, scripted_provider
from sdk_clients import anthropic_client, openai_client
from tollkeeper import bootstrap, clock
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import Budget, BudgetScope, Unit
from tollkeeper.domain.ledger import Outcome
from tollkeeper.domain.rate_limits import RateRule
from tollkeeper.services import budgets, rate_rules

PLACES = "tollkeeper_rate_limit_places"
_TAKEN_OVER = "configuration taken over"
protocols = pytest.mark.parametrize("protocol", ALL, ids=[each.name for each in ALL])


def limits(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"rate_limits": [{"name": f"limit {n}", **rule} for n, rule in enumerate(rules)]}


EACH_KEY = {"scope": "key", "each": True}


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    """A gateway that lets each key make sixty calls a minute, of a million tokens together."""
    rule = EACH_KEY | {"requests_per_minute": 60, "tokens_per_minute": 1_000_000}
    with scripted_provider(tmp_path_factory.mktemp("sixty"), configuration=limits(rule)) as made:
        yield made


def fresh(scripted: Scripted) -> str:
    """Give a key that has made no call yet."""
    return scripted.gateway.issue("fresh")


# ------------------------------------------------------------------ calls in a minute


def test_the_sixty_first_call_of_a_minute_is_refused_and_told_when_to_come_back(
    sixty: Scripted,
) -> None:
    key, began_s = fresh(sixty), time.monotonic()
    with RawConnection(sixty.port) as connection:
        for left in reversed(range(60)):
            answer = connection.send(OPENAI.call(key)).answer()
            assert answer.status == 200
            assert answer.headers["x-ratelimit-limit-requests"] == "60"
            assert answer.headers["x-ratelimit-remaining-requests"] == str(left)
            assert answer.headers["x-ratelimit-limit-tokens"] == "1000000"
        refused = connection.send(OPENAI.call(key)).answer()
    fault = OPENAI.fault(refused)
    assert (fault.status, fault.kind, fault.code) == (429, "requests", "rate_limited")
    assert "'limit 0' allows 60 requests a minute for each key" in fault.message
    took_s = time.monotonic() - began_s
    assert 60 - took_s - 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert "x-should-retry" not in refused.headers
    assert ask(sixty.port, OPENAI.call(fresh(sixty))).status == 200, "others are not concerned"


@protocols
def test_every_protocol_is_refused_in_its_own_words(sixty: Scripted, protocol: Protocol) -> None:
    key = fresh(sixty)
    for _ in range(60):
        ask(sixty.port, OPENAI.call(key))
    sixty.plays(sixty.rough.script)
    answer = ask(sixty.port, protocol.call(key))
    fault = protocol.fault(answer)
    assert (fault.status, fault.code) == (429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert sixty.sent == 0
    entry = sixty.entry()
    assert (entry.outcome, entry.error_code, entry.status) == (
        Outcome.REFUSED,
        "rate_limited",
        429,
    )
    assert (entry.cost_nanos, entry.user_name) == (0, EMAIL)


def test_repeated_refusals_reach_nobody_and_are_counted(sixty: Scripted) -> None:
    key, series = fresh(sixty), 'tollkeeper_rate_limit_refusals_total{limit="requests"}'
    for _ in range(60):
        ask(sixty.port, OPENAI.call(key))
    before = metrics(sixty.gateway).get(series, 0)
    sixty.plays(sixty.rough.script)
    for _ in range(20):
        assert ask(sixty.port, OPENAI.call(key)).status == 429
    assert sixty.sent == 0
    assert metrics(sixty.gateway)[series] == before + 20


def test_each_vendor_has_its_own_header_lines(sixty: Scripted) -> None:
    key = fresh(sixty)
    lines = {
        protocol.name: ask(sixty.port, protocol.call(key)).headers
        for protocol in (OPENAI, ANTHROPIC, GEMINI)
    }
    assert lines["openai"]["x-ratelimit-reset-requests"].endswith("s")
    assert lines["anthropic"]["anthropic-ratelimit-requests-remaining"] == "58"
    assert lines["anthropic"]["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert lines["gemini"]["x-ratelimit-reset-requests"].isdigit()


def test_where_no_rule_applies_the_providers_own_lines_stay(tmp_path: Path) -> None:
    rule = {"scope": "model", "match": "claude-*", "requests_per_minute": 5}
    with scripted_provider(tmp_path, configuration=limits(rule)) as scripted:
        own = b"x-ratelimit-limit-requests: 10000\r\nanthropic-ratelimit-requests-limit: 50\r\n"
        reply = json_reply(CHAT).replace(b"\r\n", b"\r\n" + own, 1)
        scripted.answers(reply)
        plain = ask(scripted.port, OPENAI.call(scripted.key)).headers
        assert plain["x-ratelimit-limit-requests"] == "10000"
        limited = ask(scripted.port, ANTHROPIC.call(scripted.key)).headers
        assert limited["anthropic-ratelimit-requests-limit"] == "5"
        assert scripted.metric("tollkeeper_rate_limit_entities") == 1


# ------------------------------------------------------------------ tokens


def test_tokens_are_expected_at_first_and_then_counted_as_they_were_used(tmp_path: Path) -> None:
    rule = EACH_KEY | {"tokens_per_minute": 1_000}
    with scripted_provider(tmp_path, configuration=limits(rule)) as scripted:
        first = ask(scripted.port, OPENAI.call(scripted.key, max_tokens=500)).headers
        expected = 1_000 - int(first["x-ratelimit-remaining-tokens"])
        assert expected > 30, "a reply is expected to be longer than this one is"
        second = ask(scripted.port, OPENAI.call(scripted.key, max_tokens=1)).headers
        left = int(second["x-ratelimit-remaining-tokens"])
        assert 1_000 - 30 - expected < left < 1_000 - 30, "the first counts as its thirty tokens"

        long = CHAT | {"usage": {"prompt_tokens": 2_000, "completion_tokens": 1, "total_tokens": 1}}
        scripted.answers(json_reply(long))
        assert ask(scripted.port, OPENAI.call(scripted.key, max_tokens=1)).status == 200
        answer = ask(scripted.port, OPENAI.call(scripted.key, max_tokens=1))
        fault = OPENAI.fault(answer)
        assert (fault.status, fault.kind, fault.code) == (429, "tokens", "rate_limited")
        assert answer.headers["x-ratelimit-remaining-tokens"] == "0"
        assert 50 <= int(answer.headers["retry-after"]) <= 60


def test_a_call_that_a_budget_refuses_counts_for_no_rate_limit(tmp_path: Path) -> None:
    rule = EACH_KEY | {"requests_per_minute": 3, "tokens_per_minute": 100_000, "parallel": 1}
    with scripted_provider(tmp_path, configuration=limits(rule)) as scripted:
        window = WindowRule(WindowKind.LIFETIME)
        capped = BudgetScope.MODEL
        nothing = Budget("", "none", capped, Unit.USD, 0, window, match="gpt-4.1-nano")
        store = bootstrap.open_store(scripted.gateway.folder)
        budgets.make_budget(store, nothing, "alice", clock.now_us())
        store.close()
        _until(lambda: _is_refused_by_budget(scripted))
        capped_key = scripted.gateway.issue("capped")
        for _ in range(5):
            call = OPENAI.call(capped_key, model="gpt-4.1-nano")
            assert OPENAI.fault(ask(scripted.port, call)).status == 402
        answer = ask(scripted.port, OPENAI.call(capped_key))
        assert answer.headers["x-ratelimit-remaining-requests"] == "2"
        assert scripted.metric(PLACES) == 0


def _is_refused_by_budget(scripted: Scripted) -> bool:
    """Tell it by a call of a key of its own, which may pass before the budget is known."""
    answer = ask(scripted.port, OPENAI.call(fresh(scripted), model="gpt-4.1-nano"))
    return answer.status == 402


# ------------------------------------------------------------------ calls at the same time


class Crowd:
    """A provider that counts how many it serves at once, and answers when it is told to."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.most = self.served = 0
        self._now = 0
        self._lock = threading.Lock()

    def script(self, conversation: Conversation) -> None:
        with self._lock:
            self._now += 1
            self.served += 1
            self.most = max(self.most, self._now)
        self.open.wait(30)
        with self._lock:
            self._now -= 1
        conversation.answer(json_reply(CHAT))


def test_of_a_thousand_calls_at_once_no_more_than_five_reach_the_provider(tmp_path: Path) -> None:
    crowd = Crowd()
    rule = {"scope": "team", "match": "core", "parallel": 5}
    with RoughUpstream(crowd.script) as rough:
        configuration = usual_configuration(rough.url) | limits(rule)
        with deployment(tmp_path, rough.url, configuration) as gateway:
            connections = [RawConnection(gateway.port) for _ in range(1_000)]
            for round_number in range(1, 3):
                crowd.open.clear()
                for connection in connections:
                    connection.send(OPENAI.call(gateway.key))
                _until(lambda: _refusals(gateway) == 995 * round_number)  # noqa: B023 - run at once
                assert metrics(gateway)[PLACES] == 5
                crowd.open.set()
                found = Counter(connection.answer(30).status for connection in connections)
                assert found == {200: 5, 429: 995}
                wait_for(gateway, PLACES, 0)
            for connection in connections:
                connection.close()
    assert (crowd.most, crowd.served) == (5, 10)


def _refusals(gateway: Deployment) -> float:
    return metrics(gateway).get('tollkeeper_rate_limit_refusals_total{limit="parallel"}', 0)


def _until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline_s, "it never was"
        time.sleep(0.02)


# ------------------------------------------------------------------ the vendors' own clients


@pytest.fixture(scope="module")
def one_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Crowd]]:
    crowd = Crowd()
    with RoughUpstream(crowd.script) as rough:
        configuration = usual_configuration(rough.url) | limits(EACH_KEY | {"parallel": 1})
        folder = tmp_path_factory.mktemp("one")
        with deployment(folder, rough.url, configuration) as gateway:
            yield gateway, crowd


def test_sdks_see_their_own_error_and_with_retries_they_recover(
    one_at_a_time: tuple[Deployment, Crowd],
) -> None:
    gateway, crowd = one_at_a_time
    messages: Any = [{"role": "user", "content": "hello"}]
    crowd.open.clear()
    with RawConnection(gateway.port) as first:
        first.send(OPENAI.call(gateway.key))
        wait_for(gateway, PLACES, 1)
        with (
            openai_client(gateway.url, gateway.key) as client,
            pytest.raises(openai.RateLimitError) as of_openai,
        ):
            client.chat.completions.create(model="gpt-4.1-mini", messages=messages)
        assert of_openai.value.code == "rate_limited"
        assert of_openai.value.response.headers["retry-after"] == "1"
        with (
            anthropic_client(gateway.url, gateway.key) as claude,
            pytest.raises(anthropic.RateLimitError) as of_anthropic,
        ):
            claude.messages.create(model="claude-sonnet-4-6", messages=messages, max_tokens=9)
        assert "1 call at the same time for each key" in str(of_anthropic.value)
        refused = _refusals(gateway)
        answers: list[object] = []

        def insist_with_openai() -> None:
            with openai_client(gateway.url, gateway.key, retries=9) as patient:
                made = patient.chat.completions.create(model="gpt-4.1-mini", messages=messages)
                answers.append(made.usage)

        def insist_with_anthropic() -> None:
            with anthropic_client(gateway.url, gateway.key, retries=9) as patient:
                tokens = patient.messages.count_tokens(model="claude-sonnet-4-6", messages=messages)
                answers.append(tokens)

        callers = [threading.Thread(target=insist_with_openai)]
        callers.append(threading.Thread(target=insist_with_anthropic))
        for caller in callers:
            caller.start()
        _until(lambda: _refusals(gateway) >= refused + 2)
        crowd.open.set()
        assert first.answer().status == 200
        for caller in callers:
            caller.join(60)
    assert len(answers) == 2


# ------------------------------------------------------------------ rules that change


def test_a_rule_that_is_made_while_calls_fly_holds_within_moments(sixty: Scripted) -> None:
    gateway, rule = sixty.gateway, RateRule("", "made", BudgetScope.USER, EMAIL, parallel=1)
    store = bootstrap.open_store(gateway.folder)
    opened = threading.Event()

    def held_back(conversation: Conversation) -> None:
        opened.wait(30)
        conversation.answer(json_reply(CHAT))

    sixty.plays(held_back)
    key = fresh(sixty)
    try:
        with RawConnection(sixty.port) as one, RawConnection(sixty.port) as other:
            one.send(OPENAI.call(key))
            wait_for(gateway, "tollkeeper_in_flight", 1)
            known = gateway.logs().count(_TAKEN_OVER)
            rate_rules.set_rule(store, rule, (), "alice", clock.now_us())
            _until(lambda: gateway.logs().count(_TAKEN_OVER) > known)
            other.send(OPENAI.call(key))
            wait_for(gateway, PLACES, 1)
            answer = ask(sixty.port, OPENAI.call(key))
            assert OPENAI.fault(answer).message.startswith("rate limit 'made' allows 1 call at")
            opened.set()
            assert (one.answer().status, other.answer().status) == (200, 200)
        rate_rules.remove_rule(store, "made", (), "alice")
        wait_for(gateway, PLACES, 0)
    finally:
        opened.set()
        store.close()


def test_rules_of_the_file_are_taken_over_while_it_runs(tmp_path: Path) -> None:
    with scripted_provider(tmp_path) as scripted:
        gateway = scripted.gateway
        before = ask(scripted.port, OPENAI.call(gateway.key)).headers
        assert "x-ratelimit-limit-requests" not in before
        rule = EACH_KEY | {"requests_per_minute": 2}
        for changed, left in ((rule, "1"), (rule | {"requests_per_minute": 9}, "7")):
            known = gateway.logs().count(_TAKEN_OVER)
            gateway.configure(usual_configuration(gateway.upstream) | limits(changed))
            _until(lambda: gateway.logs().count(_TAKEN_OVER) > known)  # noqa: B023 - run at once
            answer = ask(scripted.port, OPENAI.call(gateway.key))
            assert answer.headers["x-ratelimit-remaining-requests"] == left, "counts go on"
        known = gateway.logs().count("configuration not taken over")
        gateway.configure(usual_configuration(gateway.upstream) | limits(rule | {"parallel": 0}))
        _until(lambda: gateway.logs().count("configuration not taken over") > known)
        answer = ask(scripted.port, OPENAI.call(gateway.key))
        assert answer.headers["x-ratelimit-limit-requests"] == "9", "the rules before it stay"

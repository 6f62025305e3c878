"""The ledger of a made-up company: ninety days of people, tools and models, at real prices.

Every entry is settled by the product's own rules with the shipped price book, so quantities,
costs, reasons and price keys agree with each other as they do in a running deployment.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tollkeeper.domain.calls import Held, Profile
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome, entries_of
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.services.settlement import Ending, settle

ORG: Final = "acme"
DAYS: Final = 90
DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000

# Work by hour of the day (UTC) and by day of the week (Monday first).
_HOURS: Final = (1, 1, 1, 1, 1, 2, 4, 9, 15, 18, 19, 16, 12, 16, 19, 18, 14, 9, 5, 4, 3, 3, 2, 1)
_WEEKDAYS: Final = (1.0, 1.05, 1.1, 1.0, 0.85, 0.22, 0.18)
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday


class Person(NamedTuple):
    """Somebody with a key. ``weight`` is how much of the work is theirs."""

    user_id: str
    email: str
    team: str
    key_id: str
    key_name: str
    tools: Sequence[str]
    weight: int


class Tool(NamedTuple):
    """A tool and the models it is used with, as (provider, model, weight)."""

    name: str
    version: str
    wire: str
    endpoint: str
    models: Sequence[tuple[str, str, int]]
    agent: bool


PEOPLE: Final = (
    Person("u_ada", "ada@acme.com", "Search", "k1AdaSea", "laptop", ("claude-code",), 9),
    Person("u_ben", "ben@acme.com", "Search", "k2BenSea", "laptop", ("codex", "claude-code"), 7),
    Person("u_caz", "carla@acme.com", "Support", "k3CarSup", "laptop", ("kimi-code",), 4),
    Person("u_dev", "dev@acme.com", "Platform", "k4DevPla", "workstation", ("claude-code",), 10),
    Person("u_eli", "elif@acme.com", "Platform", "k5EliPla", "laptop", ("codex",), 6),
    Person("u_fin", "finn@acme.com", "Growth", "k6FinGro", "laptop", ("gemini-cli",), 5),
    Person("u_gia", "gia@acme.com", "Data science", "k7GiaDat", "notebook", ("openai-python",), 5),
    Person("u_hal", "hal@acme.com", "Mobile", "k8HalMob", "laptop", ("claude-code", "codex"), 4),
    Person("u_ivy", "ivy@acme.com", "Growth", "k9IvyGro", "laptop", ("opencode",), 3),
    Person("", "", "Support", "kaSupBot", "support-bot", ("anthropic-python",), 22),
    Person("", "", "Search", "kbIndexr", "indexer", ("openai-python",), 14),
    Person("", "", "Growth", "kcMailer", "newsletter", ("google-genai-python",), 6),
)

TOOLS: Final = {
    tool.name: tool
    for tool in (
        Tool(
            "claude-code",
            "2.1.329",
            "anthropic",
            "messages",
            (
                ("anthropic", "claude-opus-5-5", 5),
                ("anthropic", "claude-sonnet-5-5", 6),
                ("anthropic", "claude-haiku-5-5", 4),
            ),
            agent=True,
        ),
        Tool(
            "codex",
            "0.169.0",
            "openai",
            "responses",
            (("openai", "gpt-6.1-sol", 5), ("openai", "gpt-5.4-mini", 3)),
            agent=True,
        ),
        Tool(
            "gemini-cli",
            "0.61.0",
            "gemini",
            "generateContent",
            (("google", "gemini-3.1-pro-preview", 4), ("google", "gemini-3.8-flash", 5)),
            agent=True,
        ),
        Tool(
            "kimi-code",
            "2.1.0",
            "openai",
            "chat/completions",
            (("moonshotai", "kimi-k3", 5),),
            agent=True,
        ),
        Tool(
            "opencode",
            "1.18.33",
            "openai",
            "chat/completions",
            (("mistral", "mistral-large-4", 3), ("moonshotai", "kimi-k3.1-pro", 2)),
            agent=True,
        ),
        Tool(
            "anthropic-python",
            "2.11.0",
            "anthropic",
            "messages",
            (("anthropic", "claude-haiku-5-5", 9), ("anthropic", "claude-sonnet-5-5", 2)),
            agent=False,
        ),
        Tool(
            "openai-python",
            "3.52.0",
            "openai",
            "chat/completions",
            (
                ("openai", "gpt-5.4-mini", 6),
                ("openai", "gpt-4.1-mini", 3),
                ("lab", "acme/ranker-7b-instruct", 2),
            ),
            agent=False,
        ),
        Tool(
            "google-genai-python",
            "3.4.0",
            "gemini",
            "generateContent",
            (("google", "gemini-3.8-flash", 6),),
            agent=False,
        ),
    )
}
FEATURES: Final = {
    "support-bot": ("answers", "triage"),
    "indexer": ("embeddings", "ranking"),
    "newsletter": ("subject lines",),
}


def demo_entries(now_us: int, calls: int = 6_000, seed: int = 7) -> list[LedgerEntry]:
    """Give some thousand entries of the ninety days before ``now_us``, the oldest first."""
    return _Company(random.Random(seed), now_us).entries(calls)


def more_entries(now_us: int, calls: int, seed: int = 11) -> list[LedgerEntry]:
    """Give calls that ended just now, for pages that are being watched."""
    company = _Company(random.Random(seed), now_us)
    return [entry for _ in range(calls) for entry in company.call(now_us - 3_000_000)]


class _Company:
    def __init__(self, dice: random.Random, now_us: int) -> None:
        self.dice = dice
        self.now_us = now_us
        self.mint = IdMint(mark=9)
        self.book: PriceBook = shipped_price_book()
        self.sessions: dict[str, str] = {}

    def entries(self, calls: int) -> list[LedgerEntry]:
        moments = sorted(self._moments(calls))
        found = [entry for at_us in moments for entry in self.call(at_us)]
        return [*found, *self._corrections(found)]

    def _moments(self, calls: int) -> Iterator[int]:
        """Draw moments by growth, weekday and hour; the last day ends now."""
        first_day = self.now_us // DAY_US - DAYS + 1
        days = range(first_day, first_day + DAYS)
        weights = [
            _WEEKDAYS[(day + _EPOCH_WEEKDAY) % 7]
            * (0.7 + 0.6 * (day - first_day) / DAYS)
            * self.dice.uniform(0.9, 1.1)
            for day in days
        ]
        weights[-8] *= 1.7  # one day on which something ran wild
        while calls:
            day = self.dice.choices(days, weights)[0]
            hour = self.dice.choices(range(24), _HOURS)[0]
            at_us = day * DAY_US + hour * HOUR_US + self.dice.randrange(HOUR_US)
            if at_us < self.now_us - 60_000_000:
                calls -= 1
                yield at_us

    def call(self, at_us: int) -> list[LedgerEntry]:
        """Make one call: mostly one entry, two where the first attempt failed."""
        person = self.dice.choices(PEOPLE, [each.weight for each in PEOPLE])[0]
        tool = TOOLS[self.dice.choice(person.tools)]
        provider, model, _ = self.dice.choices(tool.models, [each[2] for each in tool.models])[0]
        profile = self._profile(person, tool, provider, model)
        fate = self.dice.random()
        call_id = self._id(at_us)
        if fate < 0.008:
            return self._refused(call_id, at_us, profile)
        if fate < 0.025:
            failed = self._attempt(call_id, 1, at_us, profile, Outcome.UPSTREAM_ERROR)
            again_us = at_us + failed[0].duration_ms * 1_000 + 400_000
            return failed + self._attempt(call_id, 2, again_us, profile, Outcome.OK)
        if fate < 0.034:
            return self._attempt(call_id, 1, at_us, profile, Outcome.UPSTREAM_FAILED)
        if fate < 0.050:
            return self._attempt(call_id, 1, at_us, profile, Outcome.DISCONNECTED)
        return self._attempt(call_id, 1, at_us, profile, Outcome.OK)

    def _profile(self, person: Person, tool: Tool, provider: str, model: str) -> Profile:
        tags = {"env": self.dice.choices(("production", "staging"), (8, 2))[0]}
        features = FEATURES.get(person.key_name)
        if features:
            tags["feature"] = self.dice.choice(features)
        if self.dice.random() < 0.12:
            self.sessions.pop(person.key_id, None)
        session = self.sessions.setdefault(person.key_id, f"{self.dice.getrandbits(64):016x}")
        return Profile(
            org=ORG,
            team=person.team,
            user_id=person.user_id,
            user_name=person.email,
            key_id=person.key_id,
            key_name=person.key_name,
            end_customer="",
            session_id=session if tool.agent else "",
            tool=tool.name,
            tool_version=tool.version,
            provider=provider,
            price_provider=provider,
            model=model,
            model_requested=model,
            endpoint=tool.endpoint,
            wire=tool.wire,
            streamed=tool.agent,
            flat_rate=False,
            tags=tags,
        )

    def _attempt(
        self, call_id: str, attempt: int, at_us: int, profile: Profile, outcome: Outcome
    ) -> list[LedgerEntry]:
        held = self._held(call_id, attempt, at_us, profile)
        duration_ms = round(self.dice.lognormvariate(8.4 if profile.streamed else 7.2, 0.7))
        ttft_ms = min(duration_ms, round(self.dice.lognormvariate(6.2, 0.5)))
        ending = Ending(
            status=200,
            outcome=outcome,
            duration_ms=duration_ms,
            ttft_ms=ttft_ms,
            usage=self._usage(profile),
            request_id=f"req_{self.dice.getrandbits(80):020x}",
        )
        if outcome is Outcome.UPSTREAM_ERROR:
            status, code = self.dice.choice(((529, "overloaded_error"), (429, "rate_limited")))
            ending = ending._replace(
                status=status, error_code=code, usage=None, duration_ms=620, ttft_ms=618
            )
        elif outcome is Outcome.UPSTREAM_FAILED:
            ending = ending._replace(
                status=0, error_code="upstream_timeout", usage=None, ttft_ms=None, request_id=""
            )
        elif outcome is Outcome.DISCONNECTED:
            ending = ending._replace(complete=False, output_bytes=1_800)
        return entries_of(held, settle(held, ending, self.book))

    def _usage(self, profile: Profile) -> Usage:
        dice = self.dice
        if not profile.streamed:
            quantities = {
                "input": round(dice.lognormvariate(7.6, 0.8)),
                "output": round(dice.lognormvariate(5.6, 0.8)),
            }
        else:
            cached = round(dice.lognormvariate(10.9, 0.8))
            quantities = {
                "input": round(dice.lognormvariate(6.8, 1.0)),
                "cache_read": cached,
                "output": round(dice.lognormvariate(6.4, 0.9)),
            }
            if profile.provider == "anthropic":
                quantities["cache_write"] = round(cached * dice.uniform(0.02, 0.12))
            else:
                quantities["reasoning"] = round(dice.lognormvariate(5.9, 0.9))
            if dice.random() < 0.03 and profile.provider == "anthropic":
                quantities["web_searches"] = dice.randint(1, 3)
        raw = _as_reported(profile.provider, quantities)
        return Usage(quantities, model=profile.model, raw=json.dumps(raw, separators=(",", ":")))

    def _refused(self, call_id: str, at_us: int, profile: Profile) -> list[LedgerEntry]:
        held = self._held(call_id, 1, at_us, profile)
        code, status = self.dice.choice((("model_not_allowed", 403), ("key_expired", 401)))
        ending = Ending(status, Outcome.REFUSED, duration_ms=1, error_code=code)
        return entries_of(held, settle(held, ending, self.book))

    def _held(self, call_id: str, attempt: int, at_us: int, profile: Profile) -> Held:
        entry_id = call_id if attempt == 1 else self._id(at_us)
        return Held(entry_id, call_id, at_us, attempt, True, 9_000, 400, profile)

    def _corrections(self, entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
        """Correct two calls that the provider charged less for."""
        priced = [entry for entry in entries if entry.cost_nanos and entry.basis == Basis.MEASURED]
        return [
            entry._replace(
                entry_id=self._id(entry.started_at_us),
                corrects=entry.entry_id,
                source="correction",
                cost_nanos=-(entry.cost_nanos or 0) // 4,
                list_cost_nanos=None,
                saved_nanos=None,
                input_tokens=0,
                cache_read_tokens=0,
                cache_write_tokens=0,
                output_tokens=0,
                reasoning_tokens=0,
                units={},
            )
            for entry in (priced[len(priced) // 2], priced[-3])
        ]

    def _id(self, at_us: int) -> str:
        return self.mint.next(at_us // 1_000)


def _as_reported(provider: str, quantities: Mapping[str, int]) -> dict[str, Any]:
    """Write quantities in the shape in which their provider reports usage."""

    def count(*names: str) -> int:
        return sum(quantities.get(name, 0) for name in names)

    if provider == "anthropic":
        return {
            "input_tokens": count("input"),
            "cache_creation_input_tokens": count("cache_write"),
            "cache_read_input_tokens": count("cache_read"),
            "output_tokens": count("output"),
        }
    if provider == "google":
        return {
            "promptTokenCount": count("input", "cache_read"),
            "cachedContentTokenCount": count("cache_read"),
            "candidatesTokenCount": count("output"),
            "thoughtsTokenCount": count("reasoning"),
        }
    return {
        "prompt_tokens": count("input", "cache_read"),
        "completion_tokens": count("output", "reasoning"),
        "prompt_tokens_details": {"cached_tokens": count("cache_read")},
        "completion_tokens_details": {"reasoning_tokens": count("reasoning")},
    }

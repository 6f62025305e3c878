"""Calls whose provider stated its own cost, held against the price book: equal, or why not.

The statements are read from the recordings' own index, not by our readers, and so is the day
of each call, by which it is priced. Each difference must be explained by a rule that checks its
arithmetic.

Run as a program it writes the table of docs/accuracy-oracle.md:
`.venv/bin/python tests/oracle_rows.py ../shared docs/accuracy-oracle.md`
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ledger_entries import held_call, profile
from recorded_replies import COMPATIBLE, CORPORA, Record, read_reply, records
from tollkeeper.domain import usage as u
from tollkeeper.domain.calls import Part
from tollkeeper.domain.ledger import Outcome
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.services.settlement import Ending, settle

HOSTS = {
    "openrouter.ai": "openrouter",
    "api.x.ai": "xai",
    "api.perplexity.ai": "perplexity",
    "openai-compatible.local": "xai",  # a fixture that has blotted the host out
}
MADE_UP = {"xai-responses-742aaef3aef33b33", "xai-responses-9aa7912ead21bff8"}
"""Fixtures written by hand: ticks of 123456, at a time before the model."""

ASKED = {"dbfecb1b": "openai/gpt-4o-mini-transcribe"}
"""The recording lost the form that named the model; it is called after it."""

BEGIN, END = "<!-- oracle -->\n", "<!-- end of oracle -->\n"
_THOUSANDTH_OF_A_CENT = 10_000  # in nano-dollars


@dataclass(frozen=True)
class Row:
    """One call: what its provider stated, and what we make of it."""

    record: Record
    stated_usd: Decimal
    counted: dict[str, Any]
    at_us: int
    book: PriceBook

    @property
    def provider(self) -> str:
        if self.record.row["host"] == "api.openai.com":
            return "openrouter"  # the recorder has put another host in its place
        return HOSTS[self.record.row["host"]]

    @property
    def digest(self) -> str:
        return str(self.record.row["sha"])[:8]

    @property
    def model(self) -> str:
        return self.usage.model or self.asked

    @property
    def asked(self) -> str:
        return ASKED.get(self.digest) or str(self.record.row["req_model"] or "")

    @property
    def served_by(self) -> str:
        """Name the place that OpenRouter sent the call to, as its reply does."""
        found = re.search(r'"provider": ?"([^"]+)"', self.record.row["response_body"])
        return found[1] if found else ""

    @property
    def stated_nanos(self) -> int:
        return int(self.stated_usd.scaleb(9).to_integral_value(ROUND_HALF_EVEN))

    @cached_property
    def usage(self) -> Usage:
        usage = read_reply(self.record).usage
        assert usage is not None, self.record.name
        return usage

    @cached_property
    def part(self) -> Part:
        return self.settled(self.usage)

    def settled(self, usage: Usage) -> Part:
        """Give what is booked for a usage of this call."""
        caller = profile(price_provider=self.provider, model=self.asked or usage.model)
        held = held_call(profile=caller, started_at_us=self.at_us)
        return settle(held, Ending(200, Outcome.OK, 1, usage=usage), self.book).parts[0]

    def list_nanos(self, usage: Usage) -> int | None:
        return self.settled(usage).list_cost_nanos

    @property
    def difference(self) -> int | None:
        """Give how much more was stated than the list says, None where it says nothing."""
        known = self.part.list_cost_nanos
        return None if known is None else self.stated_nanos - known


def oracle_rows(shared: Path) -> list[Row]:
    """Give every call whose cost was stated, without fixtures and what later calls collect."""
    with gzip.open(shared / "corpus" / "_oracle.jsonl.gz") as lines:
        stated = {row["sha"]: row for row in map(json.loads, lines)}
    book = shipped_price_book()
    rows = []
    for record in records(shared, (*CORPORA, *COMPATIBLE)):
        row = stated.get(record.row["sha"])
        if row is not None and record.reader and record.name not in MADE_UP:
            at_us = int(datetime.fromisoformat(row["at"]).timestamp() * 1_000_000)
            rows.append(Row(record, Decimal(row["reported_cost_usd"]), row["usage"], at_us, book))
    return rows


# ------------------------------------------------------------------------------ why not


class Why(NamedTuple):
    """Why a list price is not what was stated, of which kind that is, and how it is known."""

    kind: str
    reason: str
    proof: str


def _without(usage: Usage, *names: str) -> Usage:
    return usage._replace(quantities={k: n for k, n in usage.quantities.items() if k not in names})


def _searches(row: Row) -> Why | None:
    """OpenRouter's searches cost what the engine costs that it chose, and does not tell."""
    count = row.usage.quantities.get(u.WEB_SEARCHES, 0)
    if not count or row.provider != "openrouter":
        return None
    without = row.list_nanos(_without(row.usage, u.WEB_SEARCHES))
    # A maker's own search where it has one, else Exa's: both publish these prices.
    engine, fee = ("OpenAI's own", 10_000_000)
    if not row.model.startswith("openai/"):
        engine, fee = ("Exa's", 7_000_000)
    if without is None or row.stated_nanos != without + count * fee:
        return None
    return Why(
        "searches",
        f"{count} x ${fee / 10**9:.3f} for a search with {engine} engine, which is not told",
        f"the tokens' list cost of {without} nano-dollars and the fee are the stated cost",
    )


def _another_model(row: Row) -> Why | None:
    """A tool of OpenRouter's asked another model: only the sum is told."""
    details = row.counted.get("server_tool_use_details") or {}
    upstream = (row.counted.get("cost_details") or {}).get("upstream_inference_cost")
    if not details.get("tool_calls_executed") or details.get("web_search_requests"):
        return None
    (asked,) = json.loads(row.record.row["request_body"])["tools"]
    advisor = asked["parameters"]
    own = round(Decimal(str(upstream)).scaleb(9))
    rest = row.stated_nanos - own
    rates = _opus_rates(row)
    if own != row.part.list_cost_nanos or "opus" not in advisor["model"] or rest % rates[0]:
        return None
    return Why(
        "another model",
        f"{rest} nano-dollars for {advisor['model']}, which a tool asked",
        "its own tokens are told apart and equal to the list; the rest is a whole number of "
        f"tokens of an Opus at ${rates[0] / 1000:.0f} and ${rates[1] / 1000:.0f}",
    )


def _opus_rates(row: Row) -> tuple[int, int]:
    """Give what a token into and out of the Opus of that time cost, in nano-dollars."""
    opus = "anthropic/claude-opus-4.8"
    into, out = (
        row.book.price(row.provider, opus, Usage({name: 1_000}), row.at_us).nanos or 0
        for name in (u.INPUT, u.OUTPUT)
    )
    return into // 1_000, out // 1_000


def _parsed_file(row: Row) -> Why | None:
    sent = row.record.row["request_body"].count('"type": "file"')
    parsed = row.record.row["response_body"].count("<file name=")
    if row.provider != "openrouter" or row.difference != 2_000_000 or (sent, parsed) != (1, 1):
        return None
    return Why(
        "PDF",
        "$0.002 for a page of a PDF that was made readable",
        "the tokens are equal to the list; the reply has the text of one file, of one page",
    )


_OWN_PRICES = {
    ("WandB", "qwen/qwen3-30b-a3b-instruct-2507"): ("wandb", "Qwen/Qwen3-30B-A3B-Instruct-2507"),
    ("Moonshot AI", "moonshotai/kimi-k2"): ("moonshotai", "kimi-k2-0711-preview"),
    ("Fireworks", "moonshotai/kimi-k2"): (
        "fireworks",
        "accounts/fireworks/models/kimi-k2-instruct",
    ),
}
"""Where the book has the price of a place that served a model for OpenRouter."""


def _upstream(row: Row) -> Why | None:
    """OpenRouter chose a place with prices of its own; the list is that of the cheapest."""
    own = _OWN_PRICES.get((row.served_by, row.model))
    if row.provider != "openrouter" or own is None:
        return None
    if row.book.price(*own, row.usage, row.at_us).nanos != row.stated_nanos:
        return None
    return Why(
        "another place",
        f"served by {row.served_by}, at its own price",
        f"the book's price of {own[0]}/{own[1]} is the stated cost",
    )


def _both_cached(row: Row) -> Why | None:
    """Gemini's cache at OpenRouter: the same tokens are written, read at once and paid twice."""
    if row.part.reason != "inconsistent_usage:parts_exceed_whole":
        return None
    prompt = row.counted["prompt_tokens_details"]
    cached, written = prompt["cached_tokens"], prompt["cache_write_tokens"]
    twice = {
        u.INPUT: row.counted["prompt_tokens"] - cached,
        u.CACHE_READ: cached,
        u.CACHE_WRITE: written,
        u.OUTPUT: row.counted["completion_tokens"],
    }
    plain = row.usage._replace(quantities=twice, fault="")
    if cached != written or row.list_nanos(plain) != row.stated_nanos:
        return None
    return Why(
        "cached twice",
        f"the same {cached:,} tokens are said to be written to the cache and read from it",
        "the list price of both, of the rest of the prompt and of the output is the stated cost",
    )


def _stated_halves(row: Row) -> Why | None:
    """The same, where the book does not know the place: the reply states both halves."""
    details = row.counted.get("cost_details") or {}
    names = ("upstream_inference_prompt_cost", "upstream_inference_completions_cost")
    if row.provider != "openrouter" or not row.served_by or not set(names) <= set(details):
        return None
    into, out = (Decimal(str(details[name])) for name in names)
    counts = row.counted["prompt_tokens"], row.counted["completion_tokens"]
    rates = into * 10**6 / counts[0], out * 10**6 / counts[1]
    if into + out != row.stated_usd or any(rate != round(rate, 2) for rate in rates):
        return None
    told = " and ".join(f"${rate.normalize():f}" for rate in rates)
    return Why(
        "another place",
        f"served by {row.served_by}, at {told} for a million tokens in and out",
        "both halves of the cost are stated, and are these prices times the tokens",
    )


def _written_by_hand(row: Row) -> Why | None:
    """A recording that somebody changed: another model's name on a call's counts and cost."""
    body = row.record.row["response_body"]
    kimi = row.book.price("openrouter", "moonshotai/kimi-k2", row.usage, row.at_us).nanos
    if "DdArgsNullVariant" not in body or kimi != row.stated_nanos:
        return None
    return Why(
        "changed recording",
        "a recording of moonshotai/kimi-k2 with another name in it",
        "its id is no id of OpenRouter's; kimi-k2's price is the stated cost",
    )


def _rounded(row: Row) -> Why | None:
    """Perplexity rounds to a thousandth of a cent, also where a reseller passes it on."""
    parts = row.counted.get("cost")
    if row.provider == "perplexity" and isinstance(parts, dict) and "request_cost" in parts:
        fee = row.list_nanos(row.usage._replace(quantities={})) or 0
        exact = {
            "request_cost": fee,
            "input_tokens_cost": _alone(row, u.INPUT_TOKENS) - fee,
            "output_tokens_cost": _alone(row, u.OUTPUT_TOKENS) - fee,
        }
        stated = {name: round(Decimal(str(parts[name])).scaleb(9)) for name in exact}
        off = [abs(stated[name] - nanos) for name, nanos in exact.items()]
        fits = max(off) <= _THOUSANDTH_OF_A_CENT // 2 and sum(stated.values()) == row.stated_nanos
        proof = "each part that is stated is within half of that of the list's, and they add up"
    else:
        list_nanos = row.part.list_cost_nanos or 0
        rounded = round(Decimal(list_nanos) / _THOUSANDTH_OF_A_CENT) * _THOUSANDTH_OF_A_CENT
        fits = row.model.startswith("perplexity/") and rounded == row.stated_nanos
        proof = "the list cost rounded so is the stated one"
    return Why("rounded", "Perplexity rounds to a thousandth of a cent", proof) if fits else None


def _alone(row: Row, names: tuple[str, ...]) -> int:
    kept = {name: n for name, n in row.usage.quantities.items() if name in names}
    return row.list_nanos(row.usage._replace(quantities=kept)) or 0


def _pictures_in(row: Row) -> Why | None:
    body = row.record.row["request_body"] or ""
    shown = body.count('"image_url","url"')
    if row.provider != "xai" or not shown or row.difference != shown * 10_000_000:
        return None
    return Why(
        "pictures in",
        f"{shown} x $0.010 for pictures that went in, which the reply does not count",
        f"the request has {shown}; the picture that came out costs the list's $0.050",
    )


RULES: tuple[Callable[[Row], Why | None], ...] = (
    _searches,
    _another_model,
    _parsed_file,
    _both_cached,
    _upstream,
    _stated_halves,
    _written_by_hand,
    _rounded,
    _pictures_in,
)


def explanation(row: Row) -> Why | None:
    """Say why the list differs from what was stated; None if nothing explains it."""
    return next((why for rule in RULES if (why := rule(row)) is not None), None)


# ------------------------------------------------------------------------------ the table


def oracle_table(rows: list[Row]) -> str:
    """Write how many are equal, and every one that is not."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        equal = row.difference == 0
        counts.setdefault(row.provider, Counter()).update(
            {"rows": 1, "booked": row.part.cost_nanos == row.stated_nanos, "equal": equal}
        )
    lines = [
        "| provider | calls with a stated cost | booked as stated | list cost equal |",
        "|---|--:|--:|--:|",
    ]
    for provider, count in sorted(counts.items()):
        lines.append(f"| {provider} | {count['rows']} | {count['booked']} | {count['equal']} |")
    lines += [
        "",
        "| call | model | stated, nano-USD | list | difference | why | how that is known |",
        "|---|---|--:|--:|--:|---|---|",
        *_differing(rows),
    ]
    return "\n".join(lines) + "\n"


def _differing(rows: list[Row]) -> Iterator[str]:
    for row in sorted(rows, key=lambda row: (row.provider, row.model, row.record.name)):
        if row.difference == 0:
            continue
        known, why = row.part.list_cost_nanos, explanation(row)
        listed = "unknown" if known is None else f"{known:,}"
        apart = "" if row.difference is None else f"{row.difference:+,}"
        call = f"{row.provider} {row.record.api} {row.digest}"
        said = f"{why.reason} | {why.proof}" if why else "not explained |"
        yield f"| {call} | {row.model} | {row.stated_nanos:,} | {listed} | {apart} | {said} |"


if __name__ == "__main__":
    target = Path(sys.argv[2])
    head, _, rest = target.read_text("utf-8").partition(BEGIN)
    table = oracle_table(oracle_rows(Path(sys.argv[1])))
    target.write_text(head + BEGIN + table + END + rest.partition(END)[2], "utf-8")

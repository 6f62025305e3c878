"""The models' page: what is used, what it costs and who says so, and the operator's own terms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consoles import RunningConsole, running_console
from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.domain.price_rules import PriceRule, StoredRule
from tollkeeper.domain.seat_plans import SeatPlan

FORM = {"name": "acme 2027", "percent": "12.5", "provider": "openai"}


@pytest.fixture
def used(tmp_path: Path) -> Iterator[RunningConsole]:
    """A console with calls of a known model, of an unknown one, and one that was refused."""
    with running_console(tmp_path) as made:
        _load(made)
        yield made


def _load(fresh: RunningConsole) -> None:
    known = {"provider": "openai", "model_served": "gpt-4.1", "cost_nanos": 2_000_000_000}
    fresh.load(
        fresh.entry_of("member", entry_id="a", call_id="a", **known),
        fresh.entry_of("other member", entry_id="b", call_id="b", **known),
        fresh.entry_of(
            "member",
            entry_id="c",
            call_id="c",
            provider="lab",
            model_served="made-up",
            cost_nanos=None,
            list_cost_nanos=None,
            basis=Basis.UNPRICED,
            unpriced_reason="unknown_model",
        ),
        fresh.entry_of(
            "member",
            entry_id="d",
            call_id="d",
            provider="",
            model_served="",
            model_requested="gpt-4.1-of-nobody",
            outcome=Outcome.REFUSED,
            cost_nanos=0,
            list_cost_nanos=0,
        ),
    )


def _page(console: RunningConsole, who: str = "admin", query: str = "") -> Any:
    reply = console.get(f"/models?format=json{query}", console.session(who))
    assert reply.status == 200, reply.text
    return reply.json()


def test_models_are_listed_with_their_price_and_how_sure_it_is(used: RunningConsole) -> None:
    known, unknown = _page(used)["lines"]
    assert (known["provider"], known["model"], known["requests"]) == ("openai", "gpt-4.1", "2")
    assert (known["cost"], known["price_in"], known["price_out"]) == ("$4.00", "$2.00", "$8.00")
    assert known["standing"]["name"] in {"Agreed", "One source", "Disputed"}
    assert (unknown["model"], unknown["unpriced"], unknown["cost"]) == ("made-up", 1, "—")
    assert unknown["standing"]["name"] == "No price"


def test_every_number_leads_to_its_calls(used: RunningConsole) -> None:
    for line in _page(used)["lines"]:
        found = used.get(f"{line['calls_href']}&format=json", used.session("admin")).json()
        assert len(found["calls"]) == int(line["requests"])
        unpriced = used.get(f"{line['unpriced_href']}&format=json", used.session("admin")).json()
        assert len(unpriced["calls"]) == line["unpriced"]


def test_each_sees_the_models_of_their_own_scope(used: RunningConsole) -> None:
    (line,) = _page(used, "other lead")["lines"]
    assert (line["model"], line["cost"]) == ("gpt-4.1", "$2.00")


def test_a_rule_is_made_on_the_page_and_ends_there(used: RunningConsole) -> None:
    made = used.post("/models/rules", FORM, used.session("finance"))
    assert made.status == 303
    (stored,) = used.store.price_rules()
    assert stored.rule == PriceRule("acme 2027", "openai", discount_bp=1250, since_us=used.now_us)
    assert stored.created_by == "fred@acme.com"
    page = _page(used, "finance", f"&done={stored.rule_id}")
    (line,) = page["rules"]
    assert (line["whom"], line["effect"], line["may_end"]) == (
        "provider openai",
        "12.5% off",
        True,
    )
    assert page["done"] == "acme 2027: active"
    used.now_us += 1
    ended = used.post(f"/models/rules/{stored.rule_id}/end", {}, used.session("admin"))
    assert ended.status == 303
    (line,) = _page(used)["rules"]
    assert (line["state"]["name"], line["may_end"]) == ("Ended", False)


def test_own_prices_are_made_of_what_was_typed(used: RunningConsole) -> None:
    form = {"name": "tuned", "kind": "own", "model": "ft-*", "input": "$0.40", "output": "1.2"}
    assert used.post("/models/rules", form, used.session("admin")).status == 303
    (stored,) = used.store.price_rules()
    assert stored.rule.usd == {"input": "0.40", "output": "1.2"}
    assert stored.rule.discount_bp == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"percent": ""}, "Set prices"),
        ({"percent": "12.345"}, "is no discount"),
        ({"percent": "NaN"}, "is no discount"),
        ({"percent": "1e9"}, "is no discount"),
        ({"name": " "}, "needs a name"),
        ({"kind": "own", "input": "free"}, "is no price in USD"),
        ({"kind": "own", "input": "-1"}, "is no price in USD"),
        ({"until": "soon"}, "is no day"),
        ({"until": "2001-01-01"}, "ends before it begins"),
    ],
)
def test_what_cannot_be_used_is_said_and_what_was_typed_stays(
    used: RunningConsole, changes: dict[str, str], says: str
) -> None:
    reply = used.post("/models/rules", FORM | {"reason": "typed"} | changes, used.session("admin"))
    assert reply.status == 400
    assert says in reply.text
    assert 'value="typed"' in reply.text
    assert used.store.price_rules() == []


def test_terms_are_for_those_who_keep_them(used: RunningConsole) -> None:
    used.plans = (SeatPlan("Claude Team", "anthropic", 40, 100_000_000_000),)
    used.rules = (PriceRule("secret contract", discount_bp=3000),)
    for who in ("member", "lead"):
        page = used.get("/models", used.session(who)).text
        assert "secret contract" not in page
        assert "Claude Team" not in page
        assert used.post("/models/rules", FORM, used.session(who)).status == 403
    for who, may in (("admin", True), ("finance", True), ("auditor", False)):
        page = used.get("/models", used.session(who)).text
        assert "secret contract" in page
        assert "$4,000" in page
        assert ('action="/models/rules"' in page) == may
    assert used.post("/models/rules", FORM, used.session("auditor")).status == 403


def test_hostile_names_of_rules_are_text(used: RunningConsole) -> None:
    evil = "<script>alert(1)</script>"
    used.store.add_price_rule(
        StoredRule("x", PriceRule(evil, evil, evil, evil, {}, 1, reason=evil), used.now_us, evil)
    )
    page = used.get("/models", used.session("admin")).text
    assert evil not in page
    assert "&lt;script&gt;" in page


def test_the_models_come_as_a_file(used: RunningConsole) -> None:
    reply = used.get("/models?format=csv", used.session("admin"))
    assert reply.headers["content-type"].startswith("text/csv")
    assert re.search("openai,gpt-4.1,2,", reply.text)

"""``tollkeeper prices rules``, ``set``, ``end`` and ``plans``."""

from __future__ import annotations

from pathlib import Path

import pytest

import stores
from command_line import CommandLine
from ledger_entries import ledger_entry
from ledgers import open_duckdb
from tollkeeper.clock import now_us
from tollkeeper.domain.ledger import Basis


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    folder = stores.open_folder(tmp_path / "data")
    folder.store.set_org_name("Acme")
    folder.store.close()
    return CommandLine(tmp_path / "data")


def _configure(run: CommandLine, text: str) -> None:
    (run.data.parent / "tollkeeper.yaml").write_text(text)


def test_a_rule_is_made_listed_and_ended(run: CommandLine) -> None:
    made = run(
        *("prices", "set", "acme 2026", "--provider", "openai", "--discount", "12.5%"),
        *("--until", "2999-01-01", "--reason", "contract 17", "--json"),
    ).json()
    assert (made["discount_bp"], made["state"], made["created_by"]) == (
        1250,
        "active",
        "command line",
    )
    assert made["until"] == "2999-01-01T00:00:00Z"
    assert run("prices", "rules", "--json").json() == [made]
    shown = run("prices", "rules").out
    assert "acme 2026" in shown
    assert "12.5% off" in shown
    ended = run("prices", "end", made["id"])
    assert (ended.code, ended.out) == (0, f"Price rule {made['id']} (acme 2026) has ended.\n")
    assert run("prices", "rules", "--json").json() == []
    (kept,) = run("prices", "rules", "--all", "--json").json()
    assert kept["state"] == "ended"


def test_own_prices_are_written_plainly(run: CommandLine) -> None:
    made = run(
        *("prices", "set", "tuned", "--model", "acme-*"),
        *("--usd", "input=4e-1", "--usd", "output=1.20", "--json"),
    ).json()
    assert made["usd"] == {"input": "0.4", "output": "1.20"}


def test_rules_of_the_file_come_last(run: CommandLine) -> None:
    _configure(run, "prices:\n  - {name: in the file, discount: 5%}\n")
    run("prices", "set", "made here", "--discount", "10")
    rows = run("prices", "rules", "--json").json()
    assert [row["name"] for row in rows] == ["made here", "in the file"]
    assert (rows[1]["id"], rows[1]["created_by"]) == (None, "tollkeeper.yaml")


def test_what_a_model_costs_is_told_with_the_rule_that_decides(run: CommandLine) -> None:
    run("prices", "set", "half", "--model", "gpt-4.1-mini", "--discount", "50%")
    (shown,) = run("prices", "show", "gpt-4.1-mini", "--json").json()
    assert shown["terms"] == "half: 50% off"
    assert shown["example"]["cost_usd"] == "0.001000000"
    assert "half: 50% off" in run("prices", "show", "gpt-4.1-mini").out
    (other,) = run("prices", "show", "gpt-4.1", "--json").json()
    assert other["terms"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("set", "x"), 1, "set prices (usd) or a discount"),
        (("set", "x", "--discount", "some"), 2, "is not like 12.5%"),
        (("set", "x", "--discount", "101%"), 1, "basis points"),
        (("set", "x", "--usd", "input"), 2, "is not like input=0.40"),
        (("set", "x", "--usd", "input=-1"), 2, "is not like input=0.40"),
        (("set", "x", "--usd", "inptu=1"), 1, "no such quantity"),
        (("set", "x", "--discount", "1", "--until", "soon"), 2, "is not like 2027-01-31"),
        (("set", "x", "--discount", "1", "--until", "2001-01-01"), 1, "ends before it begins"),
        (("end", "nothing"), 1, "there is no price rule 'nothing'"),
    ],
)
def test_what_cannot_be_done_says_why(
    run: CommandLine, arguments: tuple[str, ...], code: int, says: str
) -> None:
    ended = run("prices", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert says in " ".join(ended.err.replace("│", "").split())


def test_plans_are_compared_with_what_their_calls_are_worth(run: CommandLine) -> None:
    _configure(
        run,
        "plans:\n"
        "  - {name: Claude Team, provider: anthropic, seats: 2, seat_usd: 100}\n"
        "  - {name: idle, provider: nobody, seat_usd: 30}\n",
    )
    flat = {"basis": Basis.FLAT_RATE, "cost_nanos": 0, "org": "Acme", "started_at_us": now_us()}
    ledger = open_duckdb(run.data)
    ledger.append(
        [
            ledger_entry(provider="anthropic", list_cost_nanos=1_500_000_000, **flat),
            ledger_entry(provider="anthropic", list_cost_nanos=500_000_000, **flat),
            ledger_entry(provider="chatgpt", list_cost_nanos=250_000_000, **flat),
            ledger_entry(provider="anthropic", org="Acme", cost_nanos=10**12),
        ],
        None,
    )
    ledger.close()
    plans = run("prices", "plans", "--since", "24h", "--json").json()["plans"]
    told = [
        (it["name"], it["month_usd"], it["requests"], float(it["list_cost_usd"])) for it in plans
    ]
    assert told == [
        ("Claude Team", "200.000000000", 2, 2.0),
        ("idle", "30.000000000", 0, 0.0),
        ("", None, 1, 0.25),
    ]
    shown = run("prices", "plans", "--since", "24h").out
    assert "Claude Team" in shown
    assert "$200.00" in shown
    assert "(no plan)" in shown

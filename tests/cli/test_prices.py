"""``tollkeeper prices show``: every price of a model, who says so, and what a call costs."""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import distribution
from pathlib import Path

import pytest

from command_line import CommandLine, Ended, invoke
from tollkeeper.providers.price_data import shipped_price_book

CONFIGURATION = """
providers:
  openai: {api_key: sk-1}
  anthropic: {api_key: sk-2}
  azure-eu: {kind: openai, base_url: "https://eu.example.com/v1", price_id: azure}
  lab: {kind: openai, base_url: "http://127.0.0.1:9/v1", prices: {input: 0.5, output: 1.5}}
models:
  fast: [openai/gpt-4.1-mini, lab/qwen3]
  "claude-*": anthropic
"""


@pytest.fixture(autouse=True)
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tollkeeper.yaml").write_text(CONFIGURATION)


def show(*arguments: str) -> Ended:
    return invoke("prices", "show", *arguments)


def rows_of(ended: Ended) -> dict[str, list[str]]:
    """Give the table's cells by quantity; the heading under ''."""
    lines = [line for line in ended.out.splitlines() if line[:1] in "│┃"]
    cells = [
        [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in lines
    ]
    return {"": cells[0]} | {row[0]: row[1:] for row in cells[1:]}


def test_a_model_with_its_tiers(tmp_path: Path) -> None:
    ended = show("gpt-4.1-mini")
    assert ended.code == 0
    rows = rows_of(ended)
    assert rows[""][:3] == ["Quantity", "Per", "standard"]
    batch = rows[""].index("batch") - 1
    assert rows["input"][:2] == ["1,000,000", "$0.40"]
    assert rows["input"][batch] == "$0.20"
    assert rows["cache read"][1] == "$0.10"
    assert rows["web searches"][:2] == ["1,000", "$10.00"]
    assert "Model        openai/gpt-4.1-mini\n" in ended.out
    assert "gpt-4.1-mini-2025-04-14" in ended.out
    assert shipped_price_book().version in ended.out
    assert ended.out.endswith("A call of 1,000 tokens in and 1,000 out costs $0.002.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["tollkeeper.yaml"]


def test_the_same_as_json_is_what_the_gateway_prices_by() -> None:
    (found,) = show("anthropic/claude-sonnet-4-5", "--json").json()
    assert (found["provider"], found["model"]) == ("anthropic", "claude-sonnet-4-5")
    assert found["source"].startswith("genai-prices")
    standard = found["rows"][0]
    assert (standard["condition"], standard["above_tokens"]) == ("", 0)
    prices = standard["prices"]
    others = {"litellm": "3", "models.dev": "3"}
    said = {"standing": "agreed", "others": others}
    assert prices["input"] == {"usd": "3.00", "per": 1_000_000, **said}
    long = next(row for row in found["rows"] if row["above_tokens"])
    assert Decimal(long["prices"]["input"]["usd"]) > 3
    expected = (Decimal(prices["input"]["usd"]) + Decimal(prices["output"]["usd"])) / 1_000
    assert found["example"]["input"] == found["example"]["output"] == 1_000
    assert Decimal(found["example"]["cost_usd"]) == expected


@pytest.mark.parametrize(
    ("asked", "provider", "model", "found"),
    [
        ("gpt-4.1-mini-2025-04-14", "openai", "gpt-4.1-mini", "alias"),
        ("claude-sonnet-4-5-20250929", "anthropic", "claude-sonnet-4-5", "dated"),
        ("ft:gpt-4o-mini:acme::x1", "openai", "ft:gpt-4o-mini", "fine_tuned"),
        ("azure-eu/gpt-4.1", "azure-eu", "gpt-4.1", "exact"),
        ("gemini-2.5-pro", "google", "gemini-2.5-pro", "exact"),
        ("google/gemini-2.5-pro", "google", "gemini-2.5-pro", "exact"),
        ("lab/anything", "lab", "anything", "own prices"),
    ],
)
def test_a_model_is_found_as_the_gateway_finds_it(
    asked: str, provider: str, model: str, found: str
) -> None:
    answers = show(asked, "--json").json()
    (answer,) = [each for each in answers if each["provider"] == provider]
    assert (answer["model"], answer["found"]) == (model, found)


def test_an_alias_shows_each_of_its_targets() -> None:
    first, second = show("fast", "--json").json()
    assert (first["provider"], second["provider"]) == ("openai", "lab")
    assert second["source"] == "tollkeeper.yaml"
    assert Decimal(second["example"]["cost_usd"]) == Decimal("0.002")
    assert show("fast").out.count("A call of 1,000 tokens") == 2


def test_a_model_that_only_reads_is_priced_without_output() -> None:
    ended = show("text-embedding-3-small")
    assert "A call of 1,000 tokens in costs $0.00002." in ended.out


def test_prices_of_another_day() -> None:
    (now,) = show("gpt-4o", "--json").json()
    (then,) = show("gpt-4o", "--at", "2024-06-01", "--json").json()
    assert then["at"] == "2024-06-01T12:00:00Z"
    assert now["model"] == then["model"]
    assert show("gpt-4o", "--at", "yesterday").code == 2


def test_an_unknown_model_is_a_failure_with_what_is_close() -> None:
    ended = show("gpt-4.1-mni")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("tollkeeper: no price is known for 'gpt-4.1-mni'; close to it: ")
    assert "gpt-4.1-mini" in ended.err
    assert "anthropic/claude-sonnet-4-5" in show("anthropic/claude-sonet-4-5").err
    assert show("zzzzzzzzzzzz").err.count("\n") == 1
    assert "close to it" not in show("zzzzzzzzzzzz").err


# ------------------------------------------------------------------------ versions

FIRST = "genai-prices-0.2.3+1cdc8a783c72"


def release(folder: Path, change: tuple[bytes, bytes] = (b"", b"")) -> Path:
    """Write the data file of the pinned release, changed in one place."""
    package = distribution("genai-prices")
    data = Path(str(package.locate_file("genai_prices/data.py"))).read_bytes()
    path = folder / "data.py"
    path.write_bytes(data.replace(*change, 1) if change[0] else data)
    return path


def test_versions_and_how_they_differ(tmp_path: Path) -> None:
    run = CommandLine(tmp_path)
    listed = run("prices", "versions", "--json").json()
    assert next(it["version"] for it in listed) == FIRST
    assert [it["version"] for it in listed if it["in_force"]] == [shipped_price_book().version]
    assert FIRST in run("prices", "versions").out
    found = run("prices", "diff", "--json").json()
    assert (found["old"], found["new"]) == (FIRST, shipped_price_book().version)
    assert "cohere/rerank-v3.5" in found["added"]
    assert found["vanished"] == []
    fees = [it for it in found["changed"] if it["model"] == "sonar" and it["price"] == "requests"]
    assert [(it["old_usd"], it["new_usd"], it["factor"]) for it in fees] == [("12", "5", "0.4167")]
    shown = run("prices", "diff", FIRST, shipped_price_book().version)
    assert shown.out.startswith(f"{FIRST} → {shipped_price_book().version}\nNew models (")
    same = run("prices", "diff", FIRST, FIRST)
    assert same.out == f"{FIRST} → {FIRST}\nThey list the same models and prices.\n"
    unknown = run("prices", "diff", "genai-prices-1+000000000000", FIRST)
    assert (unknown.code, unknown.out) == (1, "")
    assert "no price book 'genai-prices-1+000000000000' is kept here" in unknown.err


def test_nothing_new_changes_nothing(tmp_path: Path) -> None:
    run = CommandLine(tmp_path)
    ended = run("prices", "refresh", "--from", str(release(tmp_path)))
    assert ended.code == 0, ended.err
    assert ended.out == f"Nothing is new: {shipped_price_book().version} stays in force.\n"
    assert ended.err.startswith("reading data.py …\ncomparing with the book in force …\n")
    assert not (tmp_path / "prices").exists()


def test_newer_prices_are_shown_then_taken(tmp_path: Path) -> None:
    run = CommandLine(tmp_path)
    dearer = (b"input_mtok=Decimal('0.4')", b"input_mtok=Decimal('0.5')")
    path = release(tmp_path, dearer)
    looked = run("prices", "refresh", "--from", str(path), "--dry-run")
    assert (looked.code, "1.25" in looked.out) == (0, True)
    assert "Nothing was changed" in looked.out
    taken = run("prices", "refresh", "--from", str(path), "--json").json()
    assert taken["in_force"] is True
    (change,) = taken["changed"]
    assert (change["old_usd"], change["new_usd"], change["large"]) == ("0.4", "0.5", False)
    versions = run("prices", "versions", "--json").json()
    assert [it["version"] for it in versions if it["in_force"]] == [taken["version"]]
    model = f"{change['provider']}/{change['model']}"
    (shown, *_) = run("prices", "show", model, "--json").json()
    assert shown["price_version"].startswith(taken["version"])


def test_what_looks_wrong_waits_for_a_word(tmp_path: Path) -> None:
    run = CommandLine(tmp_path)
    path = release(tmp_path, (b"input_mtok=Decimal('0.4')", b"input_mtok=Decimal('4')"))
    refused = run("prices", "refresh", "--from", str(path))
    assert refused.code == 1
    assert "Look at this: 1 prices move more than threefold" in refused.out
    assert "To take it: --accept" in refused.out
    assert not (tmp_path / "prices").exists()
    assert run("prices", "refresh", "--from", str(path), "--accept").code == 0
    broken = tmp_path / "cut.json"
    broken.write_bytes(b'[{"id":')
    ended = run("prices", "refresh", "--from", str(broken), "--accept")
    assert (ended.code, ended.out) == (1, "")
    assert "nothing was changed" in ended.err.splitlines()[-1]


def test_without_an_index_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    ended = CommandLine(tmp_path)("prices", "refresh")
    assert ended.code == 1
    assert "tollkeeper prices refresh --from FILE" in ended.err.splitlines()[-1]


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = release(tmp_path, (b"input_mtok=Decimal('0.4')", b"input_mtok=Decimal('0.5')"))
    ended = CommandLine(tmp_path / "none")("prices", "refresh", "--from", str(path))
    assert ended.code == 1
    assert "there is no such data folder" in ended.err
    assert not (tmp_path / "none").exists()

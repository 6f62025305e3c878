"""``tollkeeper import litellm``: what comes out works, says what is left out, has no secret."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from canaries import PLANTED
from command_line import Ended, invoke, run_command
from tollkeeper import config
from tollkeeper.config import litellm
from tollkeeper.config.litellm.checking import problem_of
from tollkeeper.domain.budget_windows import WindowKind
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.errors import ConfigError

SECRET = PLANTED.plant("a key in LiteLLM's file", "sk-ant-canary-that-stands-in-the-file")
WHOLE = f"""
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/my-gpt-4o
      api_base: https://my-endpoint.openai.azure.com/
      api_key: os.environ/AZURE_API_KEY_EU
      api_version: "2024-02-01"
      rpm: 6
      order: 2
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
      rpm: 1800
      tpm: 90000
      order: 1
  - model_name: claude
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      api_key: {SECRET}
  - model_name: our-model
    litellm_params:
      model: openai/qwen3
      api_base: http://10.0.0.7:8000/v1
      api_key: {SECRET}
      input_cost_per_token: 0.00000042
      output_cost_per_token: 1e-6
  - model_name: "openai/*"
    litellm_params:
      model: "openai/*"
      api_key: os.environ/OPENAI_API_KEY
  - model_name: "*"
    litellm_params: {{model: "openrouter/*"}}
  - model_name: sage
    litellm_params:
      model: sagemaker/jumpstart
litellm_settings:
  max_budget: 5000
  budget_duration: 30d
  max_internal_user_budget: 20.5
  internal_user_budget_duration: 1mo
  upperbound_key_generate_params: {{max_budget: 100, budget_duration: 7d, tpm_limit: 5}}
  fallbacks: [{{"gpt-4o": ["claude"]}}]
  timezone: Europe/Berlin
router_settings:
  routing_strategy: usage-based-routing-v2
  model_group_alias: {{"gpt-4": "gpt-4o"}}
  provider_budget_config: {{openai: {{budget_limit: 100.5, time_period: 1d}}}}
general_settings:
  master_key: {SECRET}
"""


def read(text: str) -> litellm.Imported:
    found = litellm.read(textwrap.dedent(text), "config.yaml")
    assert problem_of(found.text) == ""
    return found


def loaded(found: litellm.Imported, folder: Path, **variables: str) -> config.Configuration:
    file = folder / "tollkeeper.yaml"
    file.write_text(found.text)
    return config.load(file, variables)


def said(found: litellm.Imported, option: str) -> str:
    (note,) = [each for each in found.notes if each.option.endswith(option)]
    return note.said


@pytest.fixture
def whole(tmp_path: Path) -> config.Configuration:
    variables = dict.fromkeys(
        ("AZURE_API_KEY_EU", "ANTHROPIC_API_KEY", "OPENAI_2_API_KEY", "OPENROUTER_API_KEY"), "k"
    )
    return loaded(read(WHOLE), tmp_path, OPENAI_API_KEY="the one of OpenAI", **variables)


def test_models_lead_where_they_led(whole: config.Configuration) -> None:
    assert whole.aliases == {
        "gpt-4o": ["openai/gpt-4o", "azure/my-gpt-4o", "anthropic/claude-sonnet-4-5"],
        "claude": ["anthropic/claude-sonnet-4-5"],
        "our-model": ["openai-2/qwen3"],
        "*": ["openrouter"],
        "gpt-4": ["openai/gpt-4o", "azure/my-gpt-4o"],
    }
    assert set(whole.providers) == {"azure", "openai", "anthropic", "openai-2", "openrouter"}
    assert whole.providers["openai"].api_key == "the one of OpenAI"


def test_a_key_is_never_sent_to_another_server_than_before(whole: config.Configuration) -> None:
    theirs = whole.providers["openai-2"]
    assert theirs.api_key == "k"
    assert "10.0.0.7" in str([theirs.root, *theirs.bases.values()])
    found = read("""
        model_list:
          - model_name: a
            litellm_params: {model: openai/a, api_base: "https://one.example.com/v1"}
          - model_name: b
            litellm_params: {model: openai/b}
    """)
    providers: Any = found.configuration["providers"]
    assert providers == {
        "openai-2": {"kind": "openai", "base_url": "https://one.example.com/v1"},
        "openai": {"api_key": "${OPENAI_API_KEY}"},
    }


def test_prices_limits_and_budgets_mean_the_same(whole: config.Configuration) -> None:
    (rule,) = whole.price_rules
    assert (rule.provider, rule.model) == ("openai-2", "qwen3")
    assert rule.usd == {"input": "0.42", "output": "1"}
    assert {
        (it.match, it.requests_per_minute, it.tokens_per_minute) for it in whole.rate_limits
    } == {
        ("my-gpt-4o", 6, None),
        ("gpt-4o", 1800, 90_000),
    }
    assert {(it.scope, it.match, it.each, it.limit, it.window.kind) for it in whole.budgets} == {
        (BudgetScope.ORG, "*", False, 5_000 * 10**9, WindowKind.MONTH),
        (BudgetScope.USER, "*", True, 20_500_000_000, WindowKind.MONTH),
        (BudgetScope.KEY, "*", True, 100 * 10**9, WindowKind.WEEK),
        (BudgetScope.PROVIDER, "openai*", False, 100_500_000_000, WindowKind.DAY),
    }
    assert {it.window.zone for it in whole.budgets} == {"Europe/Berlin"}


def test_what_is_left_out_is_said_with_its_line() -> None:
    found = read(WHOLE)
    lines = WHOLE.splitlines()
    for note in found.notes:
        last = note.option.rpartition(".")[2]
        assert last.isdigit() or last in lines[note.line - 1], note
    assert "sagemaker" in said(found, "6.litellm_params.model")
    assert "ANTHROPIC_API_KEY" in said(found, "2.litellm_params.api_key")
    assert "OPENAI_2_API_KEY" in said(found, "3.litellm_params.api_key")
    assert "not sent again" in said(found, "fallbacks")
    assert "admin key" in said(found, "master_key")
    assert said(found, "api_version")
    assert said(found, "tpm_limit")
    assert said(found, "routing_strategy")
    assert SECRET not in found.text + str(found.notes)


@pytest.mark.parametrize(
    ("params", "provider"),
    [
        ("model: gemini/gemini-2.0-flash", {"google": {"api_key": "${GEMINI_API_KEY}"}}),
        ("model: together_ai/llama", {"together": {"api_key": "${TOGETHERAI_API_KEY}"}}),
        ("model: gpt-4o-mini", {"openai": {"api_key": "${OPENAI_API_KEY}"}}),
        ("model: ollama/llama3", {"ollama": {}}),
        (
            "model: bedrock/anthropic.claude, aws_region_name: us-west-2",
            {
                "bedrock": {
                    "region": "us-west-2",
                    "access_key_id": "${AWS_ACCESS_KEY_ID}",
                    "secret_access_key": "${AWS_SECRET_ACCESS_KEY}",
                }
            },
        ),
        (
            "model: vertex_ai/gemini-pro, vertex_project: acme, vertex_location: europe-west1",
            {"vertex": {"project": "acme", "location": "europe-west1"}},
        ),
        (
            "model: azure/gpt-4o",
            {"azure": {"base_url": "${AZURE_API_BASE}", "api_key": "${AZURE_API_KEY}"}},
        ),
        (
            "model: vertex_ai/gemini-pro",
            {"vertex": {"project": "${VERTEXAI_PROJECT}", "location": "${VERTEXAI_LOCATION}"}},
        ),
        (
            "model: bedrock/amazon.nova",
            {
                "bedrock": {
                    "region": "${AWS_REGION}",
                    "access_key_id": "${AWS_ACCESS_KEY_ID}",
                    "secret_access_key": "${AWS_SECRET_ACCESS_KEY}",
                }
            },
        ),
        (
            "model: hosted_vllm/qwen, api_base: 'http://127.0.0.1:8000/v1'",
            {"vllm": {"base_url": "http://127.0.0.1:8000/v1"}},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_providers_are_those_that_litellm_means(params: str, provider: dict[str, Any]) -> None:
    found = litellm.read(f"model_list: [{{model_name: m, litellm_params: {{{params}}}}}]", "c.yaml")
    assert found.configuration["providers"] == provider
    assert problem_of(found.text) == ""


@pytest.mark.parametrize(
    "text",
    ["", "litellm_settings: {}", "model_list: [", "- a", "model_list: &a [*a]"],
)
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        litellm.read(text, "config.yaml")


@pytest.mark.parametrize(
    ("name", "model", "target"),
    [
        ("openai/*", "openai/*", None),
        ("claude-*", "anthropic/claude-*", "anthropic"),
        ("*", "openrouter/*", "openrouter"),
        ("gemini/*", "gemini/*", ""),
        ("mine-*", "openai/gpt-*", ""),
    ],
)
def test_patterns_keep_a_models_name_or_are_left_out(
    name: str, model: str, target: str | None
) -> None:
    found = litellm.read(
        f"model_list: [{{model_name: '{name}', litellm_params: {{model: '{model}'}}}}]", "c.yaml"
    )
    models: Any = found.configuration.get("models", {})
    assert models.get(name) == (target or None)
    assert bool(found.notes) == (target == "")
    assert problem_of(found.text) == ""


def test_odd_entries_are_left_out_and_said() -> None:
    found = read("""
        model_list:
          - 5
          - model_name: a
          - model_name: a
            litellm_params: {model: 7}
          - model_name: fine
            litellm_params: {model: groq/x, rpm: many, input_cost_per_token: -1, max_budget: x}
        litellm_settings: 9
        router_settings:
          fallbacks: [{nobody: [fine]}, {fine: [nobody]}]
        other: 1
    """)
    assert found.configuration["models"] == {"fine": "groq/x"}
    assert set(found.configuration) == {"providers", "models"}
    assert len(found.notes) >= 8


def run(folder: Path, *more: str) -> Ended:
    theirs = folder / "config.yaml"
    theirs.write_text(WHOLE)
    ours = () if "--output" in more else ("--output", str(folder / "tollkeeper.yaml"))
    return invoke("import", "litellm", str(theirs), *ours, *more)


def test_nothing_is_written_over_without_force(tmp_path: Path) -> None:
    dry = run(tmp_path, "--dry-run")
    assert dry.code == 0, dry.err
    assert "gpt-4o" in dry.out
    assert "Nothing was written." in dry.out
    assert not (tmp_path / "tollkeeper.yaml").exists()
    written = run(tmp_path)
    assert written.code == 0, written.err
    file = tmp_path / "tollkeeper.yaml"
    assert file.read_text() in dry.out
    assert file.stat().st_mode & 0o077 == 0
    file.write_text("org: mine\n")
    again = run(tmp_path)
    assert again.code == 1
    assert "--force" in again.err
    assert file.read_text() == "org: mine\n"
    told = run(tmp_path, "--force", "--json").json()
    assert Path(told["backup"]).read_text() == "org: mine\n"
    assert told["written"] is True
    assert told["configuration"]["models"]["claude"] == "anthropic/claude-sonnet-4-5"
    assert {"line", "option", "said"} == set(told["notes"][0])
    assert file.read_text() != "org: mine\n"
    assert run(tmp_path, "--output", str(tmp_path / "no" / "such" / "x.yaml")).code == 1
    assert run_command("import", "litellm", "missing.yaml", folder=tmp_path).code == 1
    assert invoke("import", "litellm").code == 2

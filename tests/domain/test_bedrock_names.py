"""Which price of the book a Bedrock model's name leads to, and by which rule."""

from __future__ import annotations

import pytest

from tollkeeper.domain.bedrock_names import (
    BedrockModels,
    bare_id,
    callable_names,
    name_in_region,
    names_its_maker,
    opaque_kind,
)
from tollkeeper.domain.price_data import ModelRow

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/otnfa2ysixqd"


def _row(model: str, *aliases: str) -> ModelRow:
    return {"model": model, "aliases": aliases, "prices": [{"usd": {"input": "1"}}]}


ROWS = (
    _row("amazon.nova-lite-v1:0", "amazon.nova-lite"),
    _row("eu.amazon.nova-pro-v1:0"),
    _row("amazon.nova-pro-v1:0"),
    _row("amazon.titan-embed-text-v1", "amazon.titan-embed-text"),
    _row("amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v2"),
    _row("openai.gpt-oss-120b-1:0", "openai.gpt-oss-120b-1"),
    _row("global.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    _row(
        "regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us.anthropic.claude-sonnet-4-5-20250929",
    ),
    _row("regional.anthropic.claude-opus-5", "anthropic.claude-opus-5"),
    _row("regional.zai.glm-5.3", "/us.zai.glm-5.3"),
)
MODELS = BedrockModels(ROWS)
SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.mark.parametrize(
    ("name", "model", "rule"),
    [
        (f"us.{SONNET}", f"regional.{SONNET}", "region:us"),
        (f"eu.{SONNET}", f"regional.{SONNET}", "region:eu"),
        (f"apac.{SONNET}", f"regional.{SONNET}", "region:apac"),
        (SONNET, f"regional.{SONNET}", "regional"),
        (f"global.{SONNET}", f"global.{SONNET}", "region:global"),
        (f"GLOBAL.{SONNET.upper()}", f"global.{SONNET}", "region:global"),
        ("us.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", "region:us"),
        ("amazon.nova-lite-v1:0:300k", "amazon.nova-lite-v1:0", "version"),
        ("eu.amazon.nova-pro-v1", "eu.amazon.nova-pro-v1:0", "region:eu"),
        ("amazon.titan-embed-text-v2", "amazon.titan-embed-text-v2:0", "version"),
        ("openai.gpt-oss-120b", "openai.gpt-oss-120b-1:0", "version"),
        ("jp.anthropic.claude-opus-5-v1:0", "regional.anthropic.claude-opus-5", "region:jp"),
        ("us.zai.glm-5.3", "regional.zai.glm-5.3", "region:us"),
        (
            f"arn:aws:bedrock:us-east-1:012345678901:inference-profile/eu.{SONNET}",
            f"regional.{SONNET}",
            "region:eu",
        ),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            "amazon.nova-lite-v1:0",
            "version",
        ),
    ],
)
def test_a_name_leads_to_the_price_of_its_region_and_version(
    name: str, model: str, rule: str
) -> None:
    found = MODELS.find(name)
    assert found is not None
    assert (found.row["model"], found.rule) == (model, rule)


@pytest.mark.parametrize(
    "name",
    [
        "eu.amazon.nova-lite-v1:0",  # the plain price is that of the US
        "us-gov.amazon.nova-lite-v1:0",
        "global.amazon.nova-lite-v1:0",
        "global.anthropic.claude-opus-5",
        "anthropic.claude-sonnet-4-5-20250929-v2:0",
        "amazon.titan-embed-text-v3",
        "amazon.nova-lite-v1:1",
        "amazon.nova",
        "amazon.nova-lite-x",
        "nova-lite-v1:0",
        "mars.amazon.nova-lite-v1:0",
        "us.eu.amazon.nova-lite-v1:0",
        PROFILE,
        "",
        ":0",
        "-v1:0",
    ],
)
def test_no_name_leads_to_a_price_by_guess(name: str) -> None:
    assert MODELS.find(name) is None


def test_a_name_that_the_list_has_no_longer_is_followed_to_what_it_became() -> None:
    gone: ModelRow = {**_row(f"anthropic.{SONNET[10:]}"), "gone": "2025-11-21"}
    found = BedrockModels([gone, *ROWS]).find(SONNET)
    assert found is not None
    assert found.row["model"] == f"regional.{SONNET}"


def test_names_that_can_be_called_are_those_of_the_regions_part_of_the_world() -> None:
    listed = [row["model"] for row in ROWS if "sonnet" in row["model"]]
    assert callable_names(listed, "eu-west-1") == [f"global.{SONNET}", f"eu.{SONNET}"]
    assert callable_names(listed, "us-gov-west-1")[1] == f"us-gov.{SONNET}"
    assert callable_names(listed, "")[1] == f"us.{SONNET}"


@pytest.mark.parametrize(
    ("name", "region", "booked"),
    [
        ("amazon.nova-lite-v1:0", "eu-central-1", "eu.amazon.nova-lite-v1:0"),
        (SONNET, "ap-northeast-1", f"apac.{SONNET}"),
        (SONNET, "sa-east-1", f"sa.{SONNET}"),
        (SONNET, "us-gov-west-1", f"us-gov.{SONNET}"),
        (f"arn:aws:bedrock:eu-west-1::foundation-model/{SONNET}", "eu-west-1", f"eu.{SONNET}"),
        (SONNET, "us-west-2", ""),
        (SONNET, "", ""),
        (f"global.{SONNET}", "eu-west-1", ""),
        (f"us.{SONNET}", "eu-west-1", ""),
        (PROFILE, "eu-west-1", ""),
        ("unknown", "eu-west-1", ""),
    ],
)
def test_a_plain_name_has_the_price_of_its_region(name: str, region: str, booked: str) -> None:
    assert name_in_region(name, region) == booked


def test_names_that_only_amazon_writes_so() -> None:
    for name in (SONNET, f"us.{SONNET}", "us-gov.ai21.jamba-1-5-mini-v1:0", "openai.gpt-5.5"):
        assert names_its_maker(name)
    for name in ("gpt-5.6-luna", "claude-sonnet-4.5", "gemini-2.5-pro", "o3", "kimi-k2.5"):
        assert not names_its_maker(name)


def test_an_unversioned_name_of_several_versions_is_no_name() -> None:
    several = BedrockModels([_row("a.b-v1:0"), _row("a.b-v2:0")])
    assert several.find("a.b") is None
    assert several.find("us.a.b-v2") is not None


def test_arns_whose_model_is_told_by_nobody() -> None:
    assert opaque_kind(PROFILE) == "application-inference-profile"
    assert bare_id(PROFILE) == PROFILE
    endpoint = "arn:aws:sagemaker:us-east-1:767398002385:endpoint/endpoint-quick-start-idr7y"
    assert opaque_kind(endpoint) == "endpoint"
    assert opaque_kind(f"arn:aws:bedrock:us-east-1::foundation-model/{SONNET}") == ""
    assert opaque_kind("arn:aws:s3:::bucket") == ""
    assert opaque_kind(SONNET) == ""

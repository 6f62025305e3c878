"""Amazon Bedrock as a provider: its place, its keys in every form, and faulty settings."""

from __future__ import annotations

from typing import Any

import pytest

from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.routing import AuthStyle, AwsKey, CutPolicy, Dialect
from tollkeeper.providers.catalogue import provider_from, with_api_key

ID, SECRET, SESSION = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCY", "IQoJb3JpZ2lu=="
ACCESS = {"access_key_id": ID, "secret_access_key": SECRET}
ROOT = "https://bedrock-runtime.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("word", ["region", "location"])
def test_a_region_says_where_it_is(word: str) -> None:
    provider = provider_from("bedrock", {word: "eu-central-1", "api_key": "ABSKkey"})
    assert provider.root == provider.bases[Dialect.BEDROCK] == ROOT
    assert provider.bases[Dialect.OPENAI] == f"{ROOT}/openai/v1"
    assert set(provider.auth.values()) == {AuthStyle.BEARER}
    assert (provider.price_id, provider.cut_policy) == ("aws", CutPolicy.DRAIN)
    assert provider.aws_key is None


def test_an_access_key_signs_for_the_region() -> None:
    settings = {"region": "us-gov-west-1", **ACCESS, "session_token": SESSION}
    provider = provider_from("bedrock", settings)
    assert provider.aws_key == AwsKey(ID, SECRET, SESSION, "us-gov-west-1", "bedrock")
    assert set(provider.auth.values()) == {AuthStyle.AWS_SIGNATURE}
    assert provider.api_key == ""
    for secret in (SECRET, SESSION):
        assert secret not in repr(provider)


@pytest.mark.parametrize(
    ("base_url", "region", "service"),
    [
        ("https://bedrock-runtime.us-west-2.amazonaws.com", "us-west-2", "bedrock"),
        ("https://bedrock-runtime-fips.us-east-2.amazonaws.com", "us-east-2", "bedrock"),
        (
            "https://vpce-0a1.bedrock-runtime.eu-west-1.vpce.amazonaws.com",
            "eu-west-1",
            "bedrock",
        ),
        ("https://bedrock-mantle.us-east-1.api.aws", "us-east-1", "bedrock-mantle"),
    ],
)
def test_an_address_of_amazons_tells_its_region(base_url: str, region: str, service: str) -> None:
    provider = provider_from("mine", {"kind": "bedrock", "base_url": base_url, **ACCESS})
    assert provider.aws_key == AwsKey(ID, SECRET, "", region, service)
    assert provider.root == base_url


def test_any_other_address_needs_its_region_said() -> None:
    settings = {"kind": "bedrock", "base_url": "http://127.0.0.1:9000/openai/v1", **ACCESS}
    with pytest.raises(ConfigError, match="region is missing"):
        provider_from("mine", settings)
    provider = provider_from("mine", {**settings, "region": "us-east-1"})
    assert provider.root == provider.bases[Dialect.BEDROCK] == "http://127.0.0.1:9000"
    assert provider.bases[Dialect.OPENAI] == "http://127.0.0.1:9000/openai/v1"


@pytest.mark.parametrize(
    ("stored", "key"),
    [
        (f"{ID}:{SECRET}", AwsKey(ID, SECRET, "", "eu-central-1", "bedrock")),
        (f"{ID}:{SECRET}:{SESSION}", AwsKey(ID, SECRET, SESSION, "eu-central-1", "bedrock")),
        ("ABSKQmVkcm9ja0FQSUtleQ==", None),
    ],
)
def test_a_stored_key_is_an_api_key_or_the_parts_of_an_access_key(
    stored: str, key: AwsKey | None
) -> None:
    provider = with_api_key(provider_from("bedrock", {"region": "eu-central-1"}), stored)
    assert provider.aws_key == key
    assert provider.api_key == ("" if key else stored)
    style = AuthStyle.AWS_SIGNATURE if key else AuthStyle.BEARER
    assert set(provider.auth.values()) == {style}


@pytest.mark.parametrize("stored", [f"{ID}:", f":{SECRET}", f"{ID}:{SECRET}:{SESSION}:x", "a b:c"])
def test_a_stored_key_that_is_neither_is_refused(stored: str) -> None:
    with pytest.raises(ConfigError):
        with_api_key(provider_from("bedrock", {"region": "eu-central-1"}), stored)


def test_profiles_say_which_model_they_stand_for() -> None:
    provider = provider_from("bedrock", {"region": "us-east-1", "profiles": {"abc": "m"}})
    assert provider.profiles == {"abc": "m"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"region": "mars"}, "us-east-1"),
        ({"region": "us-east-1/../x"}, "us-east-1"),
        ({"region": "us-east-1", "location": "us-east-1"}, "second location"),
        ({"region": "us-east-1", "project": "p"}, "project"),
        ({"region": "us-east-1", "access_key_id": ID}, "needed together"),
        ({"region": "us-east-1", "secret_access_key": SECRET}, "needed together"),
        ({"region": "us-east-1", "session_token": SESSION}, "needed together"),
        ({"region": "us-east-1", **ACCESS, "api_key": "ABSK"}, "not both"),
        ({"region": "us-east-1", **ACCESS, "access_key_id": "AKIA\r\nX: y"}, "access_key_id"),
        ({"region": "us-east-1", **ACCESS, "secret_access_key": "a b"}, "secret_access_key"),
        ({"region": "us-east-1", **ACCESS, "session_token": "a:b"}, "session_token"),
        ({"region": "us-east-1", "profiles": ["a"]}, "profiles"),
        ({"region": "us-east-1", "profiles": {"a": 1}}, "profiles"),
        ({"region": "us-east-1", "profiles": {"a": " "}}, "profiles"),
    ],
)
def test_faulty_settings_say_what_to_do(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        provider_from("bedrock", settings)


@pytest.mark.parametrize("setting", ["region", "access_key_id", "session_token", "profiles"])
def test_its_settings_are_no_other_kinds(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} belongs to kind bedrock"):
        provider_from("openai", {"api_key": "k", setting: "x"})

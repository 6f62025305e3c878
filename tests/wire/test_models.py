"""The listing of models, in the shape of whoever asks."""

from __future__ import annotations

import json

import anthropic
import httpx2 as httpx
import openai
import pytest

from tollkeeper.domain.errors import UnknownRoute
from tollkeeper.domain.routing import Dialect
from tollkeeper.wire.endpoints import match
from tollkeeper.wire.models import ListedModel, model_body, models_body, models_dialect
from wire_requests import Fields, fields, lookup

MODELS = (ListedModel("gpt-5", "openai"), ListedModel("fast", "acme"))


@pytest.mark.parametrize(
    ("path", "headers", "dialect"),
    [
        ("/v1/models", [], Dialect.OPENAI),
        ("/v1/models", fields(anthropic_version="2023-06-01"), Dialect.ANTHROPIC),
        ("/v1/models", fields(User_Agent="claude-code/2.1.329"), Dialect.ANTHROPIC),
        ("/v1/models", fields(x_goog_api_key="k"), Dialect.GEMINI),
        ("/v1/models", fields(User_Agent="google-genai-sdk/3.4.0 gl-python/3.11"), Dialect.GEMINI),
        ("/anthropic/v1/models", [], Dialect.ANTHROPIC),
        ("/v1beta/models", [], Dialect.GEMINI),
        ("/v1beta/models/gpt-5", fields(anthropic_version="x"), Dialect.GEMINI),
    ],
)
def test_whose_shape_is_meant(path: str, headers: Fields, dialect: Dialect) -> None:
    found = match("GET", path)
    assert found is not None
    assert models_dialect(found, lookup(headers)) is dialect


def test_an_openai_listing() -> None:
    assert json.loads(models_body(MODELS, Dialect.OPENAI)) == {
        "object": "list",
        "data": [
            {"id": "gpt-5", "object": "model", "created": 0, "owned_by": "openai"},
            {"id": "fast", "object": "model", "created": 0, "owned_by": "acme"},
        ],
    }


def test_an_anthropic_listing_is_one_page() -> None:
    found = json.loads(models_body(MODELS, Dialect.ANTHROPIC, "limit=1000"))
    assert [entry["id"] for entry in found["data"]] == ["gpt-5", "fast"]
    assert (found["has_more"], found["first_id"], found["last_id"]) == (False, "gpt-5", "fast")
    empty = json.loads(models_body((), Dialect.ANTHROPIC))
    assert empty == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_a_gemini_listing() -> None:
    found = json.loads(models_body(MODELS, Dialect.GEMINI))
    assert [entry["name"] for entry in found["models"]] == ["models/gpt-5", "models/fast"]


def test_codex_wants_nothing_in_its_own_shape() -> None:
    assert models_body(MODELS, Dialect.OPENAI, "client_version=0.169.0") == b'{"models":[]}'


@pytest.mark.parametrize("dialect", Dialect)
def test_one_model(dialect: Dialect) -> None:
    found = json.loads(model_body(MODELS, "fast", dialect))
    assert "fast" in {found.get("id"), found.get("displayName")}
    with pytest.raises(UnknownRoute):
        model_body(MODELS, "slow", dialect)


def test_the_vendors_libraries_read_it() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        found = match("GET", request.url.path)
        assert found is not None
        header = lookup(
            [(name.encode(), value.encode()) for name, value in request.headers.items()]
        )
        dialect = models_dialect(found, header)
        body = (
            model_body(MODELS, found.model, dialect)
            if found.model
            else models_body(MODELS, dialect)
        )
        return httpx.Response(200, content=body, headers={"content-type": "application/json"})

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        first = openai.OpenAI(api_key="k", base_url="http://gw/v1", http_client=http)
        assert [entry.id for entry in first.models.list()] == ["gpt-5", "fast"]
        assert first.models.retrieve("fast").owned_by == "acme"
        second = anthropic.Anthropic(api_key="k", base_url="http://gw", http_client=http)
        assert [entry.id for entry in second.models.list()] == ["gpt-5", "fast"]
        assert second.models.retrieve("fast").display_name == "fast"

"""A vendor's own login beside our key goes where it belongs; what is listed can be called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from books import Books
from canaries import PLANTED
from running import Deployment, deployment, usual_configuration
from sdk_clients import of_response, require_booked
from tollkeeper.domain.errors import UnknownRoute
from tollkeeper.domain.routing import Dialect
from tollkeeper.gateway.plans import Planner
from tollkeeper.providers.catalogue import login_providers, provider_from
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.runtime import Routing

JWT = "eyJhbGciOiJub25lIn0.eyJjYW5hcnkiOiJjaGF0Z3B0In0.c2lnbmF0dXJl"


@pytest.fixture(scope="module")
def gateway(sandbox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A gateway whose ChatGPT is the sandbox; OpenAI's API is configured beside it."""
    PLANTED.plant("a login of ChatGPT", JWT)
    configuration = usual_configuration(sandbox)
    configuration["providers"]["chatgpt"] = {"base_url": f"{sandbox}/backend-api/codex"}
    with deployment(tmp_path_factory.mktemp("logins"), sandbox, configuration) as made:
        yield made


@pytest.mark.parametrize("path", ["/v1", "/backend-api/codex"])
def test_a_login_of_chatgpt_goes_to_chatgpt(gateway: Deployment, books: Books, path: str) -> None:
    headers = {"x-tollkeeper-key": gateway.key, "chatgpt-account-id": "account-1"}
    with OpenAI(
        base_url=f"{gateway.url}{path}", api_key=JWT, default_headers=headers, max_retries=0
    ) as client:
        reply: Any = client.responses.create(model="gpt-5.4", input="hello")
    entry = books.entry()
    seen = of_response(reply.usage)
    expected = {"provider": "chatgpt", "basis": "flat_rate", "cost_nanos": 0}
    require_booked(entry, "openai-python", seen, endpoint="responses", **expected)
    assert entry.list_cost_nanos


def test_no_setting_is_needed_for_logins_and_no_model_leads_there() -> None:
    planner = Planner(Routing({}, {}, login_providers()), shipped_price_book())
    plan = planner.plan_for_login("chatgpt", "gpt-5.4", Dialect.OPENAI)
    assert plan is not None
    assert (plan.origin.host, plan.base_path) == ("chatgpt.com", "/backend-api/codex")
    assert planner.plan_at("code-assist", "", Dialect.GEMINI).origin.host.startswith("cloudcode")
    with pytest.raises(UnknownRoute):
        planner.plan("gpt-5.4", Dialect.OPENAI)
    with pytest.raises(UnknownRoute):
        planner.plan_unnamed(Dialect.OPENAI)
    assert planner.models() == []


def test_a_listed_model_can_be_called_by_the_name_that_is_listed() -> None:
    azure = provider_from("azure", {"api_key": "k" * 16, "base_url": "https://a.openai.azure.com"})
    google = provider_from("google", {"api_key": "k" * 16})
    planner = Planner(Routing({"azure": azure, "google": google}, {}), shipped_price_book())
    listed = {each.model: each.owner for each in planner.models()}
    assert listed["azure/o1"] == listed["phi-4"] == "azure"
    assert listed["gemini-2.5-flash"] == "google"
    assert not [model for model in listed if model.startswith("claude")]  # Vertex AI's, not here
    for model, owner in listed.items():
        dialect = Dialect.OPENAI if owner == "azure" else Dialect.GEMINI
        assert planner.plan(model, dialect).provider == owner

"""A configuration of LiteLLM's, imported, in a running gateway: names, keys and prices."""

from __future__ import annotations

from pathlib import Path

from capped import answer, chat
from raw_http import ask, request
from rough_upstream import RoughUpstream
from running import Deployment
from tollkeeper.config import litellm

KEY = "sk-canary-litellm-0003"
THEIRS = """
model_list:
  - model_name: cheap
    litellm_params:
      model: openai/dime
      api_base: {url}/v1
      api_key: os.environ/LAB_KEY
      input_cost_per_token: 0.00001
      output_cost_per_token: 2e-5
router_settings:
  model_group_alias: {{"gpt-4": cheap}}
"""


def test_calls_go_where_they_went_at_the_price_that_was_set(tmp_path: Path) -> None:
    with RoughUpstream(answer) as provider:
        found = litellm.read(THEIRS.format(url=provider.url), "config.yaml")
        assert found.notes == ()
        made = Deployment(tmp_path, provider.url, {})
        made.config_file.write_text(found.text)
        made.start(LAB_KEY=KEY)
        try:
            fields = {"authorization": f"Bearer {made.key}"}
            for name in ("cheap", "gpt-4"):
                reply = ask(
                    made.port, request("/v1/chat/completions", chat(name, max_tokens=5), fields)
                )
                assert reply.status == 200, reply
                assert reply.headers["x-tollkeeper-cost-usd"] == "0.000150000"  # 5 in, 5 out
        finally:
            made.finish()
        assert [f"Bearer {KEY}".encode() in each for each in provider.requests] == [True, True]
        assert all(b'"dime"' in each for each in provider.requests)

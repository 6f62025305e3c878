"""Which status a key of LiteLLM's calls is refused with, once its money is spent."""

from __future__ import annotations

from tollkeeper.domain.litellm_keys import LITELLM, MARK, over_budget_status


def test_a_key_of_litellm_is_refused_as_litellm_refuses_it() -> None:
    assert over_budget_status({MARK: LITELLM}, None) == 429


def test_other_keys_go_by_their_tool() -> None:
    assert over_budget_status({}, None) is None
    assert over_budget_status({MARK: "something else"}, None) is None


def test_what_the_operator_forces_comes_first() -> None:
    assert over_budget_status({MARK: LITELLM}, 402) == 402

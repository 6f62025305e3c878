"""What is known of a call before it is sent: bounds of its prompt, and usual replies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tollkeeper.domain.holds import REPLY_TOKENS_FLOOR
from tollkeeper.services.hold_sizes import UsualReplies, asked_of, is_self_contained

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
PICTURE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]


def test_plain_text_and_own_tools_are_all_that_a_model_reads() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    assert is_self_contained(json.dumps({**CHAT, "tools": [tool]}).encode())


@pytest.mark.parametrize(
    "more",
    [
        {"previous_response_id": "r1"},
        {"conversation": "c1"},
        {"mcp_servers": [{"url": "https://example.com"}]},
        {"container": "c1"},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"messages": [{"role": "user", "content": PICTURE}]},
        {"prompt": {"id": "p1"}},
    ],
)
def test_what_brings_in_more_is_not(more: dict[str, object]) -> None:
    assert not is_self_contained(json.dumps({**CHAT, **more}).encode())


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"{}", b"\xff\xfe", b"[" * 5_000])
def test_what_cannot_be_read_has_no_bound(body: bytes) -> None:
    assert not is_self_contained(body)
    assert asked_of(body, 5, 1, strictly=True).prompt_bytes is None
    assert asked_of(body, 5, 1, strictly=False).prompt_bytes == len(body)


def test_words_about_such_fields_are_only_words() -> None:
    said = 'Set "previous_response_id" and "mcp_servers": [] please'
    body = {**CHAT, "messages": [{"role": "user", "content": said}]}
    assert is_self_contained(json.dumps(body).encode())


def test_a_caller_with_enough_calls_is_judged_by_them() -> None:
    usual = UsualReplies()
    for _ in range(100):
        usual.learn("m", "busy", "t", 9_000)
    for tokens in range(1_001, 1_101):
        usual.learn("m", "k1", "t", tokens)
    assert usual.usual("m", "k1", "t", 3.5).reply_tokens == pytest.approx(1_095, abs=8)
    assert usual.usual("m", "busy", "t", 3.5).reply_tokens == 9_000
    assert usual.usual("m", "k1", "t", 3.5).bytes_per_token == 3.5


def test_one_with_few_calls_by_the_model_and_what_was_seen() -> None:
    usual = UsualReplies()
    assert usual.usual("m", "k1", "t", 0).reply_tokens == REPLY_TOKENS_FLOOR
    usual.learn("m", "k1", "t", 700)
    assert usual.usual("m", "k1", "t", 0).reply_tokens == 700
    assert usual.usual("m", "k2", "t", 0).reply_tokens == 700
    assert usual.usual("other", "k1", "t", 0).reply_tokens == REPLY_TOKENS_FLOOR


def test_old_calls_are_forgotten_and_memory_is_bounded() -> None:
    usual = UsualReplies()
    for _ in range(50):
        usual.learn("m", "k1", "t", 50_000)
    for _ in range(120):
        usual.learn("m", "k1", "t", 300)
    assert usual.usual("m", "k1", "t", 0).reply_tokens == 300
    for number in range(12_000):
        usual.learn(f"m{number}", "k", "t", 1)
    assert len(usual._seen) <= 10_000


def test_what_was_learned_outlives_a_restart_and_damage_is_no_harm(tmp_path: Path) -> None:
    usual, path = UsualReplies(), tmp_path / "replies.json"
    for tokens in range(1_001, 1_101):
        usual.learn("m", "k1", "t", tokens)
    usual.costs_seen("m", "k1", "t")[0].add(5)
    usual.save(path)
    again = UsualReplies.load(path)
    assert again.usual("m", "k1", "t", 0).reply_tokens == pytest.approx(1_095, abs=8)
    assert again.costs_seen("m", "k1", "t")[0].p95 == 5
    path.write_bytes(b"{")
    assert UsualReplies.load(path).usual("m", "k1", "t", 0).reply_tokens == REPLY_TOKENS_FLOOR

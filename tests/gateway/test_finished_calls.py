"""What is left of a call once it is over: its entry, and no memory."""

from __future__ import annotations

from pathlib import Path

from memory import grows_by_less_than
from protocols import OPENAI
from raw_http import RawConnection
from rough_upstream import Conversation, RoughUpstream, json_reply
from running import deployment

MIB = 1 << 20
CALLS = 150
TEXT = "word " * (MIB // 20)
CHOICE = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
REPLY = json_reply({"id": "r", "choices": [CHOICE], "usage": USAGE})


def _answer(conversation: Conversation) -> None:
    conversation.answer(REPLY)


def test_finished_calls_do_not_keep_their_replies(tmp_path: Path) -> None:
    # Objects of a call that held each other would wait for the collector, which comes by
    # after thousands of calls; their replies would wait with them.
    with RoughUpstream(_answer) as rough, deployment(tmp_path, rough.url) as gateway:
        asked = OPENAI.with_nonce(gateway.key, "memory")
        with RawConnection(gateway.port) as connection:
            for _ in range(5):
                assert connection.send(asked).answer().json()["usage"] == USAGE
            with grows_by_less_than(gateway, 20 * MIB):
                for _ in range(CALLS):
                    assert connection.send(asked).answer().json()["usage"] == USAGE
        assert len(gateway.entries_when(CALLS + 5)) == CALLS + 5

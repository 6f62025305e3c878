"""A provider that counts: every call takes a moment, costs the same, and is written down."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from typing import Final

HOST: Final = "127.0.0.1"
OUTPUT_TOKENS: Final = 100
USD_PER_MILLION: Final = 1_000
"""100 tokens at $1,000 a million: each call costs $0.10, and says that it will."""

_TAKES_S: Final = 0.5
"""So long, so that all calls that are let through are under way at once."""

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_REPLY: Final = json.dumps(
    {
        "id": "chatcmpl-counted",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": "counted",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "counted " * OUTPUT_TOKENS},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": OUTPUT_TOKENS,
            "total_tokens": OUTPUT_TOKENS + 1,
        },
    }
).encode()


class CountedUpstream:
    """Answers ``/count`` with the number of calls so far, and everything else as a chat."""

    def __init__(self) -> None:
        self.calls = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
                if head.startswith(b"GET /count "):
                    body = b"%d" % self.calls
                else:
                    self.calls += 1
                    await asyncio.sleep(_TAKES_S)
                    body = _REPLY
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n%b" % (len(body), body)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever called has gone
        finally:
            writer.close()


async def _serve(port: int) -> None:
    server = await asyncio.start_server(CountedUpstream().talk, HOST, port, backlog=2_000)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_serve(parser.parse_args().port))

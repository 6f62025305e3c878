"""Compile the vocabulary that tokens are estimated with, from OpenAI's published file.

`make vocabulary FILE=…` runs this. The file is ``o200k_base.tiktoken``, plain or gzipped, as the
packages tiktoken (which fetches it) and bpe-openai (which ships it) use it; it is checked
against the digest that tiktoken names. What is shipped holds the same ranks, sorted so that a
piece of text is found by bisection and nothing has to be built when it is loaded.
"""

from __future__ import annotations

import base64
import gzip
import sys
from hashlib import sha256
from pathlib import Path
from struct import pack

DIGEST = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
TARGET = Path(__file__).parents[1] / "src" / "tollkeeper" / "vocabulary" / "o200k_base.gz"


def ranks_in(text: bytes) -> dict[bytes, int]:
    """Read the published file. Raises ValueError if it is not that file."""
    if sha256(text).hexdigest() != DIGEST:
        raise ValueError("this is not OpenAI's o200k_base: its digest is another one")
    pairs = [line.split() for line in text.splitlines()]
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def compiled(ranks: dict[bytes, int]) -> bytes:
    """Give, for each length of a token: the length, how many, their ranks, the sorted tokens."""
    parts = []
    for length in sorted({len(token) for token in ranks}):
        tokens = sorted(token for token in ranks if len(token) == length)
        parts.append(pack("<BI", length, len(tokens)))
        parts.append(pack(f"<{len(tokens)}I", *(ranks[token] for token in tokens)))
        parts.append(b"".join(tokens))
    return b"".join(parts)


def main(arguments: list[str]) -> None:
    data = Path(arguments[0]).read_bytes()
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    ranks = ranks_in(text)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(gzip.compress(compiled(ranks), mtime=0))
    print(f"{len(ranks):,} tokens, {TARGET.stat().st_size:,} bytes in {TARGET.name}")


if __name__ == "__main__":
    main(sys.argv[1:])

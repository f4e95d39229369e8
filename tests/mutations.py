"""Seeded damage to files."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

WORDS = (b"\xff\xfe", b"\x00", b"-1", b"1e999", b"9" * 5000, b"NaN", b"null", b"[]", b"{}", b'"', b"[" * 5000)
VALUES = (
    None, -1, 0, 2**70, 1e300, -0.5, True, "", "x", "\x1b[31m\n::error::", [], [[]], {}, {"x": 1}, [0], [1e9],
    "é" * 99,
)  # fmt: skip


def damaged(content: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Files with bytes flipped, parts cut out, doubled or replaced by what readers stumble over."""
    draw = random.Random(seed)
    for k in range(count):
        start = draw.randrange(len(content))
        end = min(len(content), start + draw.choice((1, 1, 2, 8, 64, 1000)))
        piece = content[start:end]
        new = (
            bytes(byte ^ 1 << draw.randrange(8) for byte in piece), b"", piece * 3, draw.choice(WORDS),
            content[:start],
        )[k % 5]  # fmt: skip
        yield content[:start] + new + content[end:] if k % 10 < 9 else content[:start]


def changed(document: Any, count: int, seed: int = 0) -> Iterator[bytes]:
    """A JSON document with one value, somewhere in it, replaced, removed or doubled: it still parses."""
    draw = random.Random(seed)
    text = json.dumps(document)
    for k in range(count):
        whole: Any = json.loads(text)
        part: Any = whole
        above: Any = whole
        key: Any = None
        while isinstance(part, dict | list) and part:
            places = list(part) if isinstance(part, dict) else range(min(len(part), 20))
            above, key = part, draw.choice(places)
            part = above[key]
            if draw.random() < 0.2:
                break
        if k % 8 == 0:
            del above[key]
        elif k % 8 == 1 and isinstance(above, list):
            above.insert(key, part)
        else:
            above[key] = draw.choice(VALUES)
        yield json.dumps(whole).encode()

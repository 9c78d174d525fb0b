"""Packed files that hold far more than they weigh are unpacked bit by bit."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from slipstream.events.packing import lines_read

MIB = 1 << 20
_BLOCK_BYTES = 128 * 1024
_HEAD = b"\x28\xb5\x2f\xfd\x00\x38"  # a frame of .zst: no size, no checksum, a window of 128 KiB


def bomb(path: Path, content_bytes: int) -> Path:
    """Write a .zst file of four bytes for each 128 KiB of content: blocks that say "the same byte, so often"."""
    blocks = content_bytes // _BLOCK_BYTES
    block = (_BLOCK_BYTES << 3) | 0b010
    same = [(block | (number == blocks - 1)).to_bytes(3, "little") + b"a" for number in range(blocks)]
    path.write_bytes(_HEAD + b"".join(same))
    return path


def test_a_small_file_with_a_huge_content_takes_little_memory(tmp_path: Path) -> None:
    path = bomb(tmp_path / "graph.jsonl.zst", 256 * MIB)
    assert path.stat().st_size < 10_000
    tracemalloc.start()
    try:
        with lines_read(path) as (content, _):
            assert content.read(1) == b"a"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 48 * MIB


def test_all_of_a_huge_content_is_read_once(tmp_path: Path) -> None:
    with lines_read(bomb(tmp_path / "graph.jsonl.zst", 32 * MIB)) as (content, _):
        size = 0
        while block := content.read(MIB):
            assert block == b"a" * len(block)
            size += len(block)
    assert size == 32 * MIB

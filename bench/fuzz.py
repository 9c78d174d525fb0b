"""
Broken messages of every format, by the hundred thousand: each is a right result or a typed refusal.

    python -m bench.fuzz                              # 100,000 messages over all formats: ten minutes
    python -m bench.fuzz --messages 1000000 --format kafka --format values

Ends with the smallest message that was neither. The suite runs the same with a few hundred of them.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.property.feed_messages import MESSAGES, OPTIONS, broken, check

from slipstream.events.formats.detect import MessageParser


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000, help="about how many in all (default: 100,000)")
    parser.add_argument("--format", action="append", choices=list(MESSAGES), help="only this one; may be repeated")
    asked = parser.parse_args()
    kinds = asked.format or list(MESSAGES)
    for kind in kinds:
        began = time.monotonic()
        count = fuzz(kind, max(1, asked.messages // len(kinds) // 4))
        print(f"{kind}: {count:,} messages in {time.monotonic() - began:.0f} s, each parsed or refused", flush=True)


def fuzz(kind: str, examples: int) -> int:
    """Check so many examples of a format, each as an object, as a text and as a broken text; return how many."""
    warm, tried = MessageParser(OPTIONS), 0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(broken(kind), st.data())
    def try_one(message: Any, data: st.DataObject) -> None:
        nonlocal tried
        text = json.dumps(message, default=str)
        place = data.draw(st.integers(0, len(text)))
        cut = text[:place] + data.draw(st.text(max_size=2)) + text[place + data.draw(st.integers(0, 2)) :]
        for each in (message, text, cut, cut.encode("utf-8", "surrogatepass")):
            check(each, warm)
            tried += 1

    try_one()
    return tried


if __name__ == "__main__":
    main()

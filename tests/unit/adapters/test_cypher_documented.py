"""docs/cypher.md lists the functions that are allowed, and nothing else."""

from __future__ import annotations

from pathlib import Path

from slipstream.adapters.cypher.kglite.adapter import ANSWER_BYTES_MAX, MEMORY_BYTES, ROWS_MAX, TIMEOUT_S
from slipstream.adapters.cypher.kglite.allowed import FUNCTION_ALIASES, FUNCTIONS
from slipstream.adapters.cypher.kglite.grammar import DEPTH_MAX, READING_WORDS, WRITING_WORDS
from slipstream.adapters.cypher.kglite.tokens import STATEMENT_SIZE_MAX
from slipstream.adapters.cypher.kglite.worker import QUESTION_BYTES_MAX

TEXT = (Path(__file__).parents[3] / "docs" / "cypher.md").read_text()


def test_every_function_is_listed_and_no_other() -> None:
    _, listed, rest = TEXT.split("<!-- functions -->")
    assert {name.lower() for name in listed.replace("`", " ").split()} == FUNCTIONS
    (line,) = [line for line in rest.splitlines() if "other names for these" in line]
    assert {name.lower() for name in line.split("`")[1].split()} == set(FUNCTION_ALIASES)


def test_clauses_and_limits_are_those_of_the_code() -> None:
    said = TEXT.partition("Clauses:")[2].partition("Functions:")[0]
    clauses = {"MATCH", "OPTIONAL", "WHERE", "WITH", "UNWIND", "CALL", "RETURN", "ORDER", "SKIP", "LIMIT", "UNION"}
    assert clauses <= READING_WORDS
    for word in clauses | (WRITING_WORDS - {"DETACH", "ON"}):
        assert word in said
    assert f"{STATEMENT_SIZE_MAX:,} characters" in said
    assert f"{DEPTH_MAX} levels" in said.replace("\n", " ")
    assert f"| {TIMEOUT_S:g} s |" in TEXT
    assert f"| {ROWS_MAX:,} |" in TEXT
    assert f"| {MEMORY_BYTES / 1e9:g} GB" in TEXT
    assert ANSWER_BYTES_MAX == QUESTION_BYTES_MAX == 64 * 2**20
    assert "| 64 MiB each |" in TEXT

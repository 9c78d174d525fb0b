"""The cases of the suite of word indexes that search: names, words, what looks like them, and excerpts."""

from __future__ import annotations

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import entity_key
from slipstream.domain.word_queries import (
    AllOf,
    AnyOf,
    Near,
    Phrase,
    Term,
    Within,
    Without,
    WordQuery,
)
from slipstream.domain.words import ExactName, Excerpt, NameHit, NameKind, fold, words_of
from slipstream.ports.words import WordIndex
from slipstream.testkit.suites.words_support import WordIndexHooks, asked, found, make_row

HOSTILE = (
    '"',
    '""',
    '"dog"',
    "'",
    "dog'; DROP TABLE word_rows; --",
    "AND",
    "OR",
    "NOT",
    "NEAR",
    "NEAR(dog cat, 5)",
    "dog OR cat",
    "dog AND",
    "-dog",
    "+dog",
    "^dog",
    "dog*",
    "do*",
    "name:dog",
    "{name} : dog",
    "- {name} : dog",
    "(dog",
    "dog)",
    "(" * 300,
    "\0",
    "dog\0cat",
    "\x01dog\x02",
    "%",
    "_",
    "\\",
    "🦊",
    "!!!",
    "\ufffe",
    "a" * 100_000,
)
"""Words that a store might take for something else."""
_LANGUAGES = (
    # text, words that find it, words that do not
    ("Die Größe der Straße überrascht", ("grosse", "strasse", "uberrascht", "GRÖSSE"), ("straßen bahn",)),
    ("Thành phố Hồ Chí Minh", ("thanh", "ho chi minh", "phố"), ("hanoi",)),
    ("北京大学在海淀区", ("北京", "大学", "海淀"), ("南京", "上海")),
    ("สวัสดีชาวโลก", ("สวัสดี", "โลก"), ("แมว",)),
    ("हिन्दी में किताब", ("हिन्दी", "किताब"), ("हिसाब",)),
    ("東京タワーに登る", ("東京", "タワー"), ("大阪",)),
    ("Смерть Ивана Ильича", ("ивана", "ИВАНА"), ("петра",)),
    ("서울 대학교", ("서울",), ("부산",)),
)


def _shown(value: object) -> str:
    """Return the name of a parameter, the same in every process: a set has no order of its own."""
    return ",".join(sorted(map(str, value))) if isinstance(value, set | frozenset) else str(value)


class WordSearchingCases(WordIndexHooks):
    """What searching must find."""

    # ------------------------------------------------------------------ queries

    @pytest.mark.parametrize(
        ("query", "wanted"),
        [
            (Term("dog"), {"dogs", "both"}),
            (Term("runs"), {"dogs"}),
            (Term("ca", is_prefix=True), {"both", "cats"}),
            (Term("dog", is_prefix=True), {"dogs", "both"}),
            (Phrase(("brown", "dog")), {"dogs"}),
            (Phrase(("dog", "brown")), set()),
            (Phrase(("brown", "d"), is_prefix=True), {"dogs"}),
            (Phrase(("dog",)), {"dogs", "both"}),
            (Near(("dog", "cat"), 2), {"both"}),
            (Near(("cat", "dog"), 2), {"both"}),
            (Near(("dog", "cat"), 1), set()),
            (AnyOf((Term("brown"), Term("lazy"))), {"dogs", "cats"}),
            (AllOf((Term("dog"), Term("cat"))), {"both"}),
            (Without(Term("dog"), Term("cat")), {"dogs"}),
            (Within(("name",), Term("cat")), {"cats"}),
            (Within(("aliases",), Term("kitten")), {"cats"}),
            (Within(("body", "aliases"), AnyOf((Term("dog"), Term("kitten")))), {"both", "cats"}),
            (Within(("type",), Term("animal")), {"dogs", "cats"}),
            (Within(("name", "body"), Within(("name", "aliases"), Term("cat"))), {"cats"}),
            (Within(("name",), Within(("body",), Term("cat"))), set()),
            (Within(("body",), Phrase(("the", "cat"))), {"both"}),
            (AllOf((AnyOf((Term("dog"), Term("cat"))), Without(Term("the"), Term("brown")))), {"both"}),
            (Without(AnyOf((Term("dog"), Term("cat"))), AnyOf((Term("brown"), Term("lazy")))), {"both"}),
        ],
        ids=_shown,
    )
    def test_each_kind_of_query(self, words: WordIndex, query: WordQuery, wanted: set[str]) -> None:
        words.put(
            [
                make_row("dogs", 1, "Brown dogs", entity_type="Animal", body="running over the hill"),
                make_row("cats", 1, "Lazy cats", entity_type="Animal", aliases=("Kitten",), body="they sleep"),
                make_row("both", 1, "Both", entity_type="Tale", body="a dog and the cat"),
            ]
        )
        assert set(found(words, query)) == wanted

    @pytest.mark.parametrize(
        "query",
        [
            AnyOf(()),
            AllOf(()),
            Phrase(()),
            Near(()),
            Term(""),
            AllOf((AnyOf(()), Phrase(()))),
            Without(AnyOf(()), Term("dog")),
            Within(("name",), AnyOf(())),
            Within((), Term("dog")),
        ],
        ids=_shown,
    )
    def test_a_query_without_any_word_finds_nothing(self, words: WordIndex, query: WordQuery) -> None:
        words.put([make_row("dog", 1, "dog")])
        assert found(words, query) == []
        assert list(words.excerpts(query, ["a cat"])) == [Excerpt((), "")]

    @pytest.mark.parametrize("word", HOSTILE, ids=lambda word: repr(word[:20]))
    def test_no_word_is_an_operator(self, words: WordIndex, word: str) -> None:
        words.put([make_row("dog", 1, "dog"), make_row("zebra", 1, "zebra")])
        assert found(words, Term(word)) == (["dog"] if words_of(word) == ["dog"] else [])
        assert "zebra" in found(words, AnyOf((Term(word), Term("zebra"))))
        for query in (
            Phrase((word, "heron"), is_prefix=True),
            Near((word, "heron"), 3),
            AllOf((Term(word), Term("heron"))),
            Within(("name",), Phrase(("heron", word))),
        ):
            assert found(words, query) == []
        assert words.frequencies([word]).keys() == {word}
        assert list(words.named(word, None, 9)) == []
        assert {hit.key.id for hit in words.alike_names(word, 9)} <= {"dog"}
        assert words.alike_words(word, 9).keys() <= {"dog"}
        assert len(words.excerpts(AnyOf((Term(word), Term("dog"))), [word, "a dog"])) == 2

    def test_hostile_texts_are_kept_and_hide_no_other_word(self, words: WordIndex) -> None:
        rows = [
            make_row(f"n{number:02}", 1, f"{text} zebra", aliases=(text,), body=f"heron {text} stork", keys=(text,))
            for number, text in enumerate((*HOSTILE, "a lone \ud800 surrogate"))
        ]
        words.put(rows)
        assert words.rows([row.key for row in rows]) == {row.key: row for row in rows}
        everyone = sorted(row.key.id for row in rows)
        assert [sorted(found(words, Term(word))) for word in ("zebra", "heron", "stork")] == [everyone] * 3
        for row in rows:
            for name in row.names:
                hits = words.named(name.folded, None, 100)
                assert row.key in {hit.key for hit in hits}

    @pytest.mark.parametrize(("text", "finding", "other"), _LANGUAGES, ids=lambda value: str(value)[:12])
    def test_words_of_many_languages(
        self, words: WordIndex, text: str, finding: tuple[str, ...], other: tuple[str, ...]
    ) -> None:
        words.put(
            [make_row(stemmer, 1, text, body=f"x {text} y", stemmer=stemmer) for stemmer in ("english", "none")]
        )
        for each in finding:
            assert set(found(words, AllOf((asked(each), Phrase(tuple(words_of(each))))))) == {"english", "none"}, each
        for each in other:
            assert found(words, AllOf(tuple(Term(word) for word in words_of(each)))) == [], each
        assert {hit.key.id for hit in words.named(fold(text), None, 9)} == {"english", "none"}

    def test_the_stemmer_is_the_rows_own(self, words: WordIndex) -> None:
        words.put(
            [
                make_row("stemmed", 1, "running dogs", body="ran, running"),
                make_row("plain", 1, "running dogs", stemmer="none"),
            ]
        )
        assert set(found(words, Term("running"))) == {"stemmed", "plain"}
        assert found(words, Term("runs")) == ["stemmed"]
        assert words.frequencies(["running", "runs", "dog", "zebra"]) == {
            "running": 2,
            "runs": 1,
            "dog": 1,
            "zebra": 0,
        }

    def test_nesting_has_a_bound_that_is_told(self, words: WordIndex) -> None:
        words.put([make_row("dog", 1, "dog")])
        query: WordQuery = Term("dog")
        for _ in range(20):
            query = AllOf((query, AnyOf((Term("dog"), query))))
            if len(str(query)) > 10_000:
                break
        assert found(words, query) == ["dog"]
        for _ in range(5_000):
            query = Without(query, Term("cat"))
        with pytest.raises(InvalidInputError) as raised:
            words.match(query, None, 5)
        assert raised.value.field == "query"
        many = AnyOf((*(Term(f"w{number}") for number in range(5_000)), Term("dog")))
        assert found(words, many) == ["dog"]

    def test_an_unknown_field_is_told(self, words: WordIndex) -> None:
        with pytest.raises(InvalidInputError) as raised:
            words.match(Within(("colour",), Term("dog")), None, 5)
        assert raised.value.field == "query"

    # ------------------------------------------------------------------ order, types, limits

    def test_the_best_come_first_and_ties_go_by_key(self, words: WordIndex) -> None:
        rows = [make_row(f"n{number:02}", 1, "the same name") for number in reversed(range(30))]
        words.put([*rows, make_row("z", 1, "other", body="a name somewhere in a long text about something else")])
        ids = [f"n{number:02}" for number in range(30)]
        assert found(words, Term("name")) == [*ids, "z"]
        scores = [hit.score for hit in words.match(Term("name"), None, 31)]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] > scores[-1] > 0
        for limit in (1, 7, 30):
            assert found(words, Term("name"), limit=limit) == ids[:limit]
        assert found(words, Term("name"), limit=0) == []

    def test_names_count_more_than_aliases_and_these_more_than_the_text(self, words: WordIndex) -> None:
        pad = [make_row(f"pad{number}", 1, f"pad{number}", body="nothing to see") for number in range(30)]
        words.put(
            [
                *pad,
                make_row("a", 1, "one two", aliases=("three four",), body="five zebra"),
                make_row("b", 1, "one two", aliases=("three zebra",), body="four five"),
                make_row("c", 1, "one zebra", aliases=("two three",), body="four five"),
            ]
        )
        assert found(words, Term("zebra")) == ["c", "b", "a"]

    def test_types_narrow_every_search(self, words: WordIndex) -> None:
        rows = [make_row(f"n{number:03}", 1, "zebra", entity_type=f"T{number % 10}") for number in range(200)]
        words.put(rows)
        wanted = [f"n{number:03}" for number in range(200) if number % 10 in (3, 7)]
        for limit in (1, 15, 200):
            assert found(words, Term("zebra"), frozenset({"T3", "T7"}), limit) == wanted[:limit]
            named = words.named("zebra", frozenset({"T3", "T7"}), limit)
            assert [hit.key.id for hit in named] == wanted[:limit]
        for types in (frozenset[str](), frozenset({"T"}), frozenset({"t3"}), frozenset({"'; --"})):
            assert (found(words, Term("zebra"), types), list(words.named("zebra", types, 9))) == ([], [])

    # ------------------------------------------------------------------ names

    def test_exact_names_come_by_kind_then_key(self, words: WordIndex) -> None:
        words.put(
            [
                make_row("x2", 1, "Zebra", aliases=("zebra",)),
                make_row("x1", 1, "zebra"),
                make_row("x3", 1, "horse", aliases=("Zebra", "zébra")),
                make_row("zebra", 1, "id"),
                make_row("x4", 1, "keyed", keys=("ZEBRA",)),
                make_row("x5", 1, "zebras", aliases=("zebra crossing",)),
            ]
        )
        hits = words.named("zebra", None, 10)
        assert [(hit.key.id, hit.name.kind) for hit in hits] == [
            ("zebra", NameKind.ID),
            ("x4", NameKind.KEY),
            ("x1", NameKind.NAME),
            ("x2", NameKind.NAME),
            ("x3", NameKind.ALIAS),
        ]
        assert hits[0] == NameHit(entity_key("zebra"), "Thing", ExactName(NameKind.ID, "zebra"))
        assert [hit.key.id for hit in words.named("zebra", None, 3)] == ["zebra", "x4", "x1"]
        assert (list(words.named("zebra", None, 0)), list(words.named("zeb", None, 9))) == ([], [])

    def test_names_that_look_alike(self, words: WordIndex) -> None:
        pad = [make_row(f"pad{number}", 1, f"Unrelated subject {number}") for number in range(50)]
        words.put(
            [
                *pad,
                make_row("mississippi", 1, "Big river", keys=("mississippi",)),
                make_row("river", 1, "Mississippi river", aliases=("Old man river",)),
                make_row("city", 1, "Minneapolis", aliases=("City of Lakes", *(f"other {n}" for n in range(40)))),
            ]
        )
        for text, wanted in (("misissipi river", "Mississippi river"), ("mineapolis", "Minneapolis")):
            hit = words.alike_names(fold(text), 5)[0]
            assert (hit.name.folded, hit.name.kind) == (fold(wanted), NameKind.NAME)
        assert words.alike_names("city of laks", 5)[0].name == ExactName(NameKind.ALIAS, "city of lakes")
        assert all(hit.name.kind >= NameKind.NAME for hit in words.alike_names("mississippi", 20))
        assert len(words.alike_names("unrelated subject", 7)) == 7
        assert list(words.alike_names("unrelated subject", 0)) == list(words.alike_names("q", 5)) == []

    def test_words_that_look_alike(self, words: WordIndex) -> None:
        words.put(
            [
                make_row("a", 1, "Definition", body="a gruber went running"),
                make_row("b", 1, "definition of grubers", body="he runs"),
                make_row("c", 1, "Überraschung", stemmer="none"),
            ]
        )
        assert words.alike_words("definitoin", 5)["definition"] == 2
        assert words.alike_words("runing", 5)["running"] >= 1
        assert next(iter(words.alike_words("uberaschung", 5).items())) == ("uberraschung", 1)
        assert "grubers" in words.alike_words("gruberz", 5)
        words.put([make_row("b", 2, "definition")])
        assert "grubers" not in words.alike_words("gruberz", 5), "its stem is still there, the word is not"
        assert "gruber" in words.alike_words("gruberz", 5)
        assert (dict(words.alike_words("zzzzz", 5)), dict(words.alike_words("definitoin", 0))) == ({}, {})

    # ------------------------------------------------------------------ excerpts

    def test_excerpts_show_words_as_the_text_has_them(self, words: WordIndex) -> None:
        texts = ["Two Dogs ran; the DOG barked.", "nothing here", "Größe und Straße", "我在北京大学学习", "dog\0Cat"]
        query = AnyOf((Term("dog"), Term("strasse"), Phrase(("北京", "京大", "大学")), Term("cat")))
        shown = words.excerpts(query, texts)
        assert [each.words for each in shown] == [
            ("Dogs", "DOG"),
            (),
            ("Straße",),
            ("北京大学",),
            ("dog", "Cat"),
        ]
        assert [each.snippet for each in shown[:4]] == [texts[0], "", texts[2], texts[3]]
        assert words.excerpts(Term("dog"), ["Dogs dog"], "none")[0].words == ("dog",)

    def test_excerpts_follow_phrases_and_leave_out_what_is_excluded(self, words: WordIndex) -> None:
        text = "brown dogs, and a dog that is brown"
        assert words.excerpts(Phrase(("brown", "dog")), [text])[0].words == ("brown", "dogs")
        assert words.excerpts(Without(Term("brown"), Term("dog")), [text])[0].words == ("brown",)
        assert words.excerpts(Within(("name",), Term("bro", is_prefix=True)), [text])[0].words == ("brown",)
        assert words.excerpts(AllOf((Term("brown"), Term("cat"))), [text])[0].words == ("brown",)

    def test_a_long_text_is_shown_where_the_words_are(self, words: WordIndex) -> None:
        text = f"{'lorem ipsum ' * 50_000}zebra crossing {'dolor sit ' * 50_000}"
        (shown,) = words.excerpts(AnyOf((Term("zebra"), Term("crossing"))), [text])
        assert shown.words == ("zebra", "crossing")
        assert "zebra crossing" in shown.snippet
        assert len(shown.snippet) < 400

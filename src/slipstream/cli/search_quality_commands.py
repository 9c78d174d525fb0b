"""Commands about the quality of searches: `quality search`, `searches`, `questions`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from slipstream.app.slipstream import Slipstream
from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.context import Context, drain
from slipstream.cli.output import err, handled_errors, out, print_json, print_table, progress_bar
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.quality.building import CLASSES, UNLISTED, BuilderSettings, QuestionSet
from slipstream.quality.page import Table
from slipstream.quality.questions import Half, Question, parse_questions
from slipstream.quality.search_figures import HYBRID, SearchQuality
from slipstream.quality.search_page import (
    difference_as_dict,
    difference_table,
    misses_table,
    search_quality_as_dict,
    search_tables,
    searches_table,
    tuned_as_dict,
    weights_toml,
)

STANDARD_INPUT = "-"

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Seed = Annotated[int, typer.Option(help="Draws halves, samples and resamples: the same seed, the same answer.")]
Sync = Annotated[bool, typer.Option("--sync/--no-sync", help="First let the index catch up.")]


def register(quality: typer.Typer) -> None:
    """Add the commands to the group `quality`."""
    quality.command("search")(search)
    quality.command("searches")(searches)
    quality.command("questions")(questions)


def search(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="QUESTIONS", help="JSON lines; - reads standard input.")],
    *,
    arm: Annotated[list[str] | None, typer.Option(help="Ask only this arm; repeat it for others.")] = None,
    half: Annotated[Half | None, typer.Option(help="Ask only this half of the questions.")] = None,
    tune: Annotated[
        bool,
        typer.Option("--tune", help="Choose the arms' weights on one half, tell what they are worth on the other."),
    ] = False,
    misses: Annotated[bool, typer.Option("--misses", help="List questions that find nothing they expect.")] = False,
    seed: Seed = 0,
    sync: Sync = True,
    as_json: Json = False,
) -> None:
    """
    Ask questions that say what they should find: recall, MRR and nDCG of every arm by class, with intervals.

    A line is {"question": "...", "expected": ["id", ...], "class": "name"}. The figures are kept. With --tune
    nothing is kept or set; exit code 1 says that no weights are better than those in force.
    """
    with handled_errors(as_json=as_json):
        if tune and (arm or half is not None or misses):
            raise InvalidInputError("can not go with --arm, --half or --misses: it asks both halves", field="--tune")
        asked = read_questions(file)
        settings: Context = context.obj
        with settings.opened(run=sync) as slipstream:
            if sync:
                drain(slipstream, shown=not as_json)
            with progress_bar("asking", "questions", shown=not as_json) as update:
                if tune:
                    tuned = slipstream.quality.tune_search(asked, seed=seed, on_progress=update)
                else:
                    found = slipstream.quality.search(asked, arms=arm or (), half=half, seed=seed, on_progress=update)
        if not tune:
            _show(found, with_misses=misses, as_json=as_json)
            return
        if as_json:
            print_json(tuned_as_dict(tuned))
        else:
            _print(difference_table(tuned.gain, "gained on the test half by the chosen weights, in points"))
            out.print("these belong into slipstream.toml:" if tuned.is_better else "no better than those in force:")
            out.print(weights_toml(tuned), markup=False, highlight=False)
        if not tuned.is_better:
            raise typer.Exit(EXIT_DIVERGENT)


def searches(
    context: typer.Context,
    compare: Annotated[
        tuple[int, int] | None, typer.Option(help="Two measurements: what the second finds more than the first.")
    ] = None,
    arm: Annotated[str, typer.Option(help="Whose hits are compared.")] = HYBRID,
    as_json: Json = False,
) -> None:
    """List the kept measurements of searches, or compare two of them on the questions of both."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            if compare is not None:
                found = slipstream.quality.compare_searches(*compare, arm)
            runs = slipstream.quality.searches()
        if compare is not None:
            first, second = compare
            if as_json:
                print_json(difference_as_dict(found))
            else:
                title = f"{arm}: measurement {second} less {first}, {found.questions:,} questions, in points"
                _print(difference_table(found, title))
        elif as_json:
            print_json([search_quality_as_dict(run) for run in runs])
        else:
            _print(searches_table(runs))


def questions(
    context: typer.Context,
    target: Annotated[
        str, typer.Option("--out", metavar="FILE", help="Where the questions go; - for standard output.")
    ],
    *,
    seed: Seed = 0,
    per_class: Annotated[int, typer.Option(help="Questions of each class, half of them for tuning.")] = 400,
    chosen: Annotated[
        list[str] | None, typer.Option("--class", help=f"Only these classes: {', '.join(CLASSES)}.")
    ] = None,
    plural_type: Annotated[
        list[str] | None, typer.Option(help="Only names of this type have a plural; repeat it for others.")
    ] = None,
    hold_out: Annotated[
        Path | None,
        typer.Option(
            "--hold-out-aliases",
            metavar="FILE",
            help="Write the graph without the aliases that class `unlisted` asks by: import it into a new PKG.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make questions from the graph, which know what they expect: names in many wordings, ids, shuffled texts."""
    with handled_errors(as_json=as_json):
        if target == STANDARD_INPUT and as_json:
            raise ConfigError("the questions go to standard output, so --json can not: name a file")
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            made = slipstream.quality.questions(_settings(seed, per_class, chosen, plural_type, hold_out))
            with _written_to(target) as file:
                file.writelines(f"{question.line()}\n" for question in made.questions)
            if hold_out is not None:
                _export_without(slipstream, hold_out, made)
        if as_json:
            print_json(_told(made, target, hold_out))
        elif target != STANDARD_INPUT:
            _print(_made_table(made))
            err.print(f"written: {target}", markup=False, highlight=False)


def _settings(
    seed: int, per_class: int, chosen: Sequence[str] | None, plural_types: Sequence[str] | None, hold_out: Path | None
) -> BuilderSettings:
    if chosen and UNLISTED in chosen and hold_out is None:
        raise InvalidInputError(
            f"{UNLISTED} asks by aliases that the graph must not have: say with --hold-out-aliases where the graph "
            "without them goes",
            field="--class",
        )
    return BuilderSettings(
        seed=seed,
        per_class=per_class,
        classes=tuple(chosen or (name for name in CLASSES if name != UNLISTED or hold_out is not None)),
        plural_types=tuple(plural_types or ()),
    )


def read_questions(path: str) -> list[Question]:
    """Read questions from a file or standard input; raises `ConfigError` or `InvalidInputError` that says where."""
    try:
        if path == STANDARD_INPUT:
            return parse_questions(sys.stdin)
        with Path(path).open(encoding="utf-8") as lines:
            return parse_questions(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the questions in {path} can not be read: {error}") from error


@contextmanager
def _written_to(target: str) -> Iterator[TextIO]:
    if target == STANDARD_INPUT:
        yield sys.stdout
        return
    try:
        with Path(target).open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise ConfigError(f"the questions can not be written to {target} ({error.strerror}): name another") from error


def _export_without(slipstream: Slipstream, target: Path, made: QuestionSet) -> None:
    slipstream.export_without_aliases(target, made.taken_out)
    err.print(
        f"written: {target}, without {sum(map(len, made.taken_out.values())):,} aliases",
        markup=False,
        highlight=False,
    )


def _told(made: QuestionSet, target: str, hold_out: Path | None) -> dict[str, object]:
    counted: dict[str, int] = {}
    for each in made.questions:
        counted[each.class_name] = counted.get(each.class_name, 0) + 1
    return {
        "questions": len(made.questions),
        "classes": counted,
        "scarce": dict(made.scarce),
        "taken_out": {identity: list(aliases) for identity, aliases in made.taken_out.items()},
        "out": target,
        "graph": None if hold_out is None else str(hold_out),
    }


def _made_table(made: QuestionSet) -> Table:
    counted = [each.class_name for each in made.questions]
    names = dict.fromkeys([*counted, *made.scarce])
    rows = [(name, f"{counted.count(name):,}", "all there are" if name in made.scarce else "") for name in names]
    return Table("questions", ("class", "questions", ""), rows)


def _show(found: SearchQuality, *, with_misses: bool, as_json: bool) -> None:
    if as_json:
        print_json(search_quality_as_dict(found))
        return
    for table in search_tables(found):
        _print(table)
    if with_misses:
        _print(misses_table(found))
    for note in found.notes:
        out.print(f"note: {note}", markup=False)


def _print(table: Table) -> None:
    print_table(table.title, table.columns, table.rows)

"""What a user, a file or a place can do wrong, on every command: one line with what failed, and exit code 2."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from slipstream.cli.app import app
from slipstream.cli.examples import EXAMPLES

STATIC = '[models]\ndefault = "wordllama-l2"\n'
ADA = '{"type":"node","id":"0","labels":["Person"],"properties":{"id":"ada","name":"Ada"}}\n'
HUGE = "9" * 25
NO_PKG_NEEDED = {"init", "restore", "doctor", "demo", "bench", "bench-audits", "bench-migrations"} | {
    "evidence verify"
}
READS_NO_SETTINGS = {"export"}


@dataclass(frozen=True)
class Place:
    """A PKG with one entity, and files beside it."""

    root: Path

    @property
    def pkg(self) -> Path:
        return self.root / "pkg"

    def invoke(self, *arguments: str, directory: Path | None = None) -> Result:
        return CliRunner().invoke(app, ["--dir", str(directory or self.pkg), *arguments])

    def copy(self, to: Path) -> Path:
        shutil.copytree(self.pkg, to)
        return to


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("misuse"))
    assert place.invoke("init").exit_code == 0
    (place.pkg / "slipstream.toml").write_text(STATIC)
    (place.root / "ok").write_text(ADA)
    (place.root / "folder").mkdir()
    assert place.invoke("import", str(place.root / "ok")).exit_code == 0
    yield place
    assert place.invoke("verify").exit_code == 0, "no misuse has done anything"


def _line(result: Result, code: int = 2) -> str:
    """Return the one line that says what failed."""
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.exit_code == code, (result.exit_code, result.output, lines)
    assert len(lines) == 1, lines
    assert "Error: " in lines[0]
    assert "Traceback" not in lines[0]
    return lines[0]


# Arguments with | between them, where @ is the folder with the files, and what the line holds.
MISUSES = """
import|@gone => gone is not there: look at the path
import|@folder => folder holds no notes (.md): name the folder that does
apply|@gone => gone can not be read: No such file
apply|@folder => folder can not be read: Is a directory
apply|@ok|--key|x => --key: must be TABLE=COLUMN[,COLUMN], got 'x'
apply|@ok|--table|x => --table: must be PARTITION=TABLE
apply|@ok|--unsent-null|x => --unsent-null: must be TABLE=COLUMN
apply|@ok|--metrics|x => metrics: 'x' is not [HOST:]PORT
apply|@ok|--metrics|\u00b2 => metrics: '\u00b2' is not [HOST:]PORT
apply|@ok|--metrics|0|--token-file|@gone => gone can not be read
dead-letters|replay => name the ids of dead letters, or pass --all
dead-letters|replay|nope => there is no dead letter 'nope': `slipstream dead-letters list`
dead-letters|replay|nope|--all => name the ids of dead letters, or pass --all
dead-letters|discard|nope => there is no dead letter 'nope': `slipstream dead-letters list`
backup => name the folder that is to get the backup
backup|@ok => ok can not hold a backup (File exists): choose another folder
backup|@folder|--verify|@folder => not both
backup|--verify|@gone => gone is no backup: it holds no manifest.json
backup|@folder|--keep|0 => keep: must be at least 1
backup|@folder|--rate-mb-s|nan => rate_mb_s: must be more than 0
backup|/proc/x => /proc/x can not hold a backup
restore|@gone => gone is no backup
restore|@ok => ok is no backup
export|@folder => folder is a directory: name a file in it
export|@gone/x => x can not be written (No such file or directory): nothing is left of it
export|-|--json => name a file
verify|--deep|x => deep: 'x' is neither a number of records nor `all`
verify|--deep|\u00b2 => deep: '\u00b2' is neither
verify|--incremental|--deep|1 => choose one
verify|--report|@gone/x => make the directory
verify|--report|@folder => folder is a directory: name a file in it
repair|--class|x => unknown class 'x'; known are missing
repair|--confirm|x => there is no plan 'x' (any more): `slipstream repair` makes a new one
repair|--keys-per-s|nan => keys_per_s: must be greater than 0
repair|--adopt => there is nothing to adopt
audits|list|--limit|{HUGE} => too large
audits|show|999 => audit 999 is not kept (any more): `slipstream audits list`
audits|show|{HUGE} => too large
audits|show|1|--class|x => unknown class 'x'; known are
audits|show|1|--after|x => 'x' is not CLASS/KEY
migrate|start => Change them in slipstream.toml
migrate|start|--config|@gone => gone can not be read: No such file
migrate|start|--config|@ok => ok is not TOML
migrate|wait => start or resume a migration
migrate|pause => can not pause
migrate|resume => can not resume
migrate|audit => can not audit
migrate|cut-over => can not cut over
migrate|cut-over|--queries|@gone => gone can not be read
migrate|roll-back => can not roll back
migrate|drop => can not drop
quality|run|--sample|-1 => --sample: must be a number or all
quality|run|--sample|{HUGE} => must be in 0..1,000,000
quality|run|--sample|1|--report|@gone/x => choose another place
quality|show|nope => 'nope' is neither in the index nor in a run
quality|list|--confidence-below|nan => must be within 0..1
quality|reembed => say which, such as --invalid
quality|compare => `slipstream migrate start` builds one
quality|compare|--queries|@ok => queries line 1
quality|compare|--queries|@folder => Is a directory
quality|compare|--overlap-min|7 => must be within 0..1
schema|diff|99 => schema version 99 is not known
schema|diff|{HUGE} => is not known
reembed => say which records
reembed|--older-than|x => must look like 90s
reembed|--older-than|{HUGE}w => must be at most 36500d
reembed|--type|Persan => there is no type 'Persan'; did you mean 'Person'?
reembed|--id|nope => there is no entity 'nope'
reembed|--confidence-below|7 => must be within 0..1
views|explain|nope => 'e:nope' is neither in the graph nor in the index
views|explain|a\udcff => can not be stored
views|check|--config|@folder => Is a directory
views|check|--type|Persan => did you mean 'Person'?
run|--metrics|x => 'x' is not [HOST:]PORT
query => give either Cypher or --sql
query|--sql|SELECT 1|--write => --write is for Cypher
query|--sql|nope => syntax error
query|MATCH ( => the bracket ( is never closed
query|CREATE (:Person {id: 'x'}) => would write (CREATE)
query|RETURN $a AS a|--param|a => 'a' is not name=JSON
query|RETURN $a AS a|--param|a=[[[DEEP => nested too deeply
query|RETURN $a AS a => is used by the statement and not given
query|MATCH (p) RETURN p.\udcff => is no character of Cypher
search| => text: is empty: say what to look for
search|a\udcff => lone surrogate
search|ada|-k|0 => k: must be in 1..1000, not 0
search|ada|--expand|{HUGE} => expand: must be in 0..3
bench|--entities|0 => must be at least 10
bench-audits|--seconds|nan => seconds: must be at least 0
bench-migrations|--case|x => case: has no ['x']
"""
ROWS = [line.partition(" => ") for line in MISUSES.strip().splitlines()]


@pytest.mark.parametrize(("call", "said"), [(call, said) for call, _, said in ROWS])
def test_a_misuse_is_told_in_one_line(place: Place, call: str, said: str) -> None:
    text = call.replace("@", f"{place.root}/").replace("{HUGE}", HUGE).replace("[[[DEEP", "[" * 100_000)
    line = _line(place.invoke(*text.split("|")))
    assert said in line


@pytest.mark.parametrize(
    "call",
    [
        "audits show x",
        "search ada -k x",
        "demo --entities x",
        "demo --entities 1",
        "schema history --limit 0",
        "views check --sample 0",
        "nope",
        "scrub nope",
        "status --nope",
        "import",
    ],
)
def test_a_wrong_option_is_told_with_the_usage(place: Place, call: str) -> None:
    result = place.invoke(*call.split())
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert "Usage: " in result.stderr
    assert result.stdout == ""


def _damaged(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(pkg: Path) -> None:
        for end in ("-wal", "-shm"):
            (pkg / ".slipstream" / f"{name}{end}").unlink(missing_ok=True)
        (pkg / ".slipstream" / name).write_bytes(content)

    return damage


def _newer(name: str) -> Callable[[Path], None]:
    def change(pkg: Path) -> None:
        with closing(sqlite3.connect(pkg / ".slipstream" / name)) as raw:
            raw.execute("PRAGMA user_version = 99")

    return change


def _settings(text: str | bytes) -> Callable[[Path], None]:
    def write(pkg: Path) -> None:
        (pkg / "slipstream.toml").write_bytes(text.encode() if isinstance(text, str) else text)

    return write


def _a_folder_for(name: str) -> Callable[[Path], None]:
    def change(pkg: Path) -> None:
        (pkg / name).unlink()
        (pkg / name).mkdir()

    return change


def _a_file_for_the_data(pkg: Path) -> None:
    shutil.rmtree(pkg / ".slipstream")
    (pkg / ".slipstream").write_text("")


SERVED = '[models]\ndefault = "e"\n[models.openai.e]\nbase_url = "{0}"\napi_key_file = "{1}"\n'
FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "broken TOML": (_settings("[models\n"), "slipstream.toml is not TOML: Expected ']'"),
    "not UTF-8": (_settings(b'[models]\ndefault = "\xe9"\n'), "slipstream.toml is not UTF-8 (byte 20)"),
    "unknown section": (_settings("[modles]\n"), "modles: is unknown; did you mean 'models'? (in "),
    "unknown key": (_settings("[graph]\nsync_stats = true\n"), "graph.sync_stats: is unknown; did you mean"),
    "out of range": (_settings("[index]\nport = 0\n"), "index.port: must be a whole number, at least 1 and at most"),
    "a view": (
        _settings(STATIC + '[views.Person]\ntemplat = "x"\n'),
        "views.Person.templat: is unknown; did you mean",
    ),
    "settings are a folder": (_a_folder_for("slipstream.toml"), "can not be read: Is a directory"),
    "unknown model": (_settings('[models]\ndefault = "wordlama-l2"\n'), "did you mean 'wordllama-l2'?"),
    "no key file": (
        _settings(SERVED.format("http://127.0.0.1:9", "gone")),
        "api_key_file gone can not be read (No such",
    ),
    "a wrong address": (_settings(SERVED.format("x", "gone")), "models.openai.e.base_url: must be an address that"),
    "newer graph": (_newer("graph.db"), "graph.db was written by a newer Slipstream"),
    "newer index": (_newer("index.db"), "index.db was written by a newer Slipstream"),
    "damaged index": (_damaged("index.db", b"no database at all" * 99), "index.db is damaged"),
    "a file for the data": (_a_file_for_the_data, ".slipstream can not be made (File exists)"),
    "graph is a folder": (_a_folder_for(".slipstream/graph.db"), "graph.db is not a file"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", [["import", "@ok"], ["audits", "list"]], ids=str)
def test_a_pkg_that_can_not_be_opened_says_why(place: Place, tmp_path: Path, fault: str, call: list[str]) -> None:
    change, said = FAULTS[fault]
    pkg = place.copy(tmp_path / "pkg")
    change(pkg)
    line = _line(place.invoke(*(each.replace("@", f"{place.root}/") for each in call), directory=pkg))
    assert said in line


def _commands(group: object, path: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = [" ".join(path) for path in _commands(get_command(app))]
CALLS = {name: shlex.split(EXAMPLES[name].split("--")[0]) for name in COMMANDS}
CALLS["query"] = ["query", "MATCH (p) RETURN p"]
CALLS["reembed"] = ["reembed", "--marked"]
CALLS["quality reembed"] = ["quality", "reembed", "--invalid"]
CALLS["search"] = ["search", "ada"]
CALLS["quality search"] = ["quality", "search", "questions.jsonl"]
CALLS["quality questions"] = ["quality", "questions", "--out", "made.jsonl"]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in NO_PKG_NEEDED])
def test_every_command_names_a_directory_that_holds_no_pkg_and_makes_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text(ADA)
    asked = tmp_path / "asked.jsonl"
    asked.write_text('{"question": "ada", "expected": ["ada"], "class": "name"}\n')
    files = dict.fromkeys(("graph.jsonl", "events.jsonl"), str(tmp_path / "file")) | {"questions.jsonl": str(asked)}
    call = [files.get(each, each) for each in CALLS[name]]
    for directory in (tmp_path / "gone", tmp_path / "file"):
        line = _line(Place(tmp_path).invoke(*call, directory=directory))
        assert str(directory) in line
        assert name in READS_NO_SETTINGS or "run `slipstream --dir" in line or "can not be opened (Not a dir" in line
    assert not (tmp_path / "gone").exists(), "a mistyped directory is not made"


def test_a_search_for_a_type_that_is_not_there_finds_nothing_and_says_why(place: Place) -> None:
    result = place.invoke("search", "ada", "--type", "Persan")
    assert result.exit_code == 0
    assert result.stderr.strip() == "warning: there is no entity type 'Persan'; did you mean 'Person'?"
    assert place.invoke("search", "ada", "--type", "Person").stderr.strip() == ""

"""An example of every command, for its help."""

from __future__ import annotations

import typer
from typer.models import DefaultPlaceholder

EXAMPLES = {
    "init": "init",
    "import": "import people.csv --type Person --id email --dry-run",
    "get": "get ada grace",
    "list": "list --type Person --limit 20",
    "neighbours": "neighbours ada --type KNOWS --direction out",
    "history": "history ada --limit 50",
    "watch": "watch --type Person",
    "doctor": "doctor",
    "add": "add Person ada name='Ada Lovelace' born:=1815",
    "set": "set ada name='Ada King' died:=1852 --unset motto",
    "relate": "relate ada KNOWS charles since:=1833",
    "unrelate": "unrelate ada KNOWS charles",
    "delete": "delete ada charles --yes",
    "erase": "erase ada --with-neighbours-text --reference 'ticket 12'",
    "watch-folder": "watch-folder ~/Notes",
    "apply": "apply events.jsonl --key orders=id",
    "status": "status --check",
    "backup": "backup backups --keep 7",
    "restore": "restore backups/20260101T000000Z --replace",
    "export": "export graph.jsonl.gz",
    "verify": "verify --deep 200 --report audit",
    "repair": "repair --dry-run",
    "reembed": "reembed --type Person --older-than 30d --dry-run",
    "serve": "serve --http 8420",
    "run": "run --metrics 9464",
    "mcp": "mcp --write",
    "query": "query 'MATCH (p:Person) WHERE p.name = $name RETURN p.id' --param name=Ada",
    "search": "search 'who wrote the first program' -k 5 --type Person",
    "demo": "demo --entities 1000",
    "bench": "bench --quick",
    "bench-audits": "bench-audits --entities 10000 --seconds 0",
    "bench-migrations": "bench-migrations --case 'static model'",
    "dead-letters list": "dead-letters list --json",
    "dead-letters replay": "dead-letters replay --all",
    "dead-letters discard": "dead-letters discard --all",
    "audits list": "audits list --limit 5",
    "audits show": "audits show 12 --class missing",
    "evidence verify": "evidence verify audit.json --public-key key.pem",
    "evidence key": "evidence key",
    "evidence export": "evidence export audits.json --limit 50",
    "scrub status": "scrub status",
    "scrub pause": "scrub pause",
    "scrub resume": "scrub resume",
    "migrate start": "migrate start --config edited.toml --dry-run",
    "migrate status": "migrate status",
    "migrate wait": "migrate wait",
    "migrate pause": "migrate pause",
    "migrate resume": "migrate resume",
    "migrate audit": "migrate audit",
    "migrate cut-over": "migrate cut-over --queries queries.jsonl --report comparison",
    "migrate roll-back": "migrate roll-back",
    "migrate drop": "migrate drop",
    "quality run": "quality run --sample 500 --report quality",
    "quality show": "quality show ada",
    "quality list": "quality list --confidence-below 0.5",
    "quality reembed": "quality reembed --invalid --near-duplicates",
    "quality trend": "quality trend",
    "quality compare": "quality compare --queries queries.jsonl --recall-min 0.9",
    "quality search": "quality search questions.jsonl --half test --misses",
    "quality searches": "quality searches --compare 1 2",
    "quality questions": "quality questions --out questions.jsonl --seed 7 --hold-out-aliases edited.jsonl",
    "schema history": "schema history --limit 5",
    "schema diff": "schema diff 3 5",
    "views list": "views list",
    "views explain": "views explain ada",
    "views check": "views check --config edited.toml --all",
}
"""By command: what follows `slipstream --dir my-pkg`."""


def show_examples(app: typer.Typer, group: str = "") -> None:
    """Put the example of each command at the end of its help; raises `KeyError` for a command without one."""
    for command in app.registered_commands:
        # \b: keep it on one line, to be copied
        command.epilog = f"\b\nExample: slipstream --dir my-pkg {EXAMPLES[f'{group}{command.name}']}"
    for each in app.registered_groups:
        if each.typer_instance is not None and not isinstance(each.name, DefaultPlaceholder):
            show_examples(each.typer_instance, f"{group}{each.name} ")

"""Commands about evidence: `evidence verify`, which needs no PKG, `evidence key` and `evidence export`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from slipstream.cli.codes import EXIT_DIVERGENT, EXIT_ERROR
from slipstream.cli.context import Context
from slipstream.cli.output import handled_errors, out, print_json
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.signing.chains import AUDITS_MAX, ChainFound
from slipstream.signing.documents import read_public_key
from slipstream.signing.examining import ALTERED, UNKNOWN, VALID, Examined, Examining, FileFound

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_PEM_BYTES_MAX = 10_000
_WHOSE = (
    "whose key that is, is not proved: give the PKG's own with --public-key "
    "(`slipstream --dir PKG evidence key` prints it)"
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    evidence = typer.Typer(help="Signed evidence of audits, and receipts of erasures.", no_args_is_help=True)
    evidence.command("verify")(verify_files)
    evidence.command("key")(show_key)
    evidence.command("export")(export_chain)
    app.add_typer(evidence, name="evidence")


def verify_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Evidence or receipts, as JSON.")],
    public_keys: Annotated[
        list[str] | None,
        typer.Option(
            "--public-key", metavar="KEY", help="A file in PEM, or base64; several for a PKG that has had several."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Verify signed files, and the chain of audits over all of them; needs no PKG.

    Exit code: 0 they are as they were signed, 1 something was altered, is missing, or is by another key, 2 could not
    tell: a file is not signed, or can not be read.
    """
    with handled_errors(as_json=as_json):
        examining = Examining([_public_key(given) for given in public_keys or ()])
        for path in files:
            try:
                document = _parsed(path)
            except ConfigError as error:
                examining.unreadable(str(path), str(error))
            else:
                examining.add(str(path), document)
        found = examining.examined()
        if as_json:
            print_json(found.as_data())
        else:
            _show(found)
        if found.verdict == ALTERED:
            raise typer.Exit(EXIT_DIVERGENT)
        if found.verdict == UNKNOWN:
            raise typer.Exit(EXIT_ERROR)


def show_key(context: typer.Context, as_json: Json = False) -> None:
    """Show the public key that this PKG signs with; give it to those who verify."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            key = slipstream.evidence.public_key()
        if as_json:
            print_json({"key_id": key.key_id, "pem": key.pem})
            return
        out.print(key.pem, end="", markup=False, highlight=False)


def export_chain(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write the JSON.")],
    limit: Annotated[int, typer.Option(help="How many audits, the newest.", min=1, max=AUDITS_MAX)] = AUDITS_MAX,
    as_json: Json = False,
) -> None:
    """Write the newest kept audits as one signed file, to be verified where the PKG is not."""
    from slipstream.report.evidence import write_whole

    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            chain = slipstream.evidence.chain(limit)
        write_whole(file, json.dumps(chain, indent=2) + "\n")
        told = {"file": str(file), "audits": len(chain["audits"]), "key_id": chain["signature"]["key_id"]}
        if as_json:
            print_json(told)
            return
        out.print(f"written: {file}: {told['audits']} audits, signed by {told['key_id']}", markup=False)


def _public_key(given: str) -> bytes:
    path = Path(given)
    try:
        if not path.is_file():
            return read_public_key(given)
        with path.open("rb") as file:
            return read_public_key(file.read(_PEM_BYTES_MAX).decode("utf-8", "replace"))
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidInputError) and path.is_file():
            raise
        raise InvalidInputError(
            f"{given!r} is neither a file that can be read nor a public key", field="public_key"
        ) from error


def _parsed(path: Path) -> object:
    """Return a JSON file; a field that is named twice could be read in two ways, so it is refused."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError as error:
        raise ConfigError(f"can not be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is no JSON file that can be verified: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is named twice")
    return found


def _show(found: Examined) -> None:
    for file in found.files:
        _say(_of_file(file))
    for chain in found.chains:
        for line in _of_chain(chain):
            _say(line)
    if found.verdict == VALID:
        signers = _listed(found.keys)
        _say(f"valid: signed by {signers}, and not altered since")
        if not found.is_known_key:
            _say(f"note: {_WHOSE}")
    elif found.verdict == UNKNOWN:
        _say("could not tell: not every file could be verified")
    else:
        _say("NOT valid: do not rely on what these files say")


def _of_file(file: FileFound) -> str:
    if file.verdict != VALID:
        return f"{file.name}: {file.verdict}: {file.said}"
    inner = f", with {file.inner} signed documents in it" if file.inner else ""
    return f"{file.name}: {file.schema or 'a document'}, valid{inner}, digest {file.digest}"


def _of_chain(chain: ChainFound) -> list[str]:
    forgotten = f", {chain.forgotten} more forgotten by retention" if chain.forgotten else ""
    begun = "" if chain.first == 1 else f"; what came before number {chain.first} is not here"
    told = f"chain {chain.chain}: audits {chain.first} to {chain.last}, {chain.kept} of them here{forgotten}{begun}"
    return [told, *(f"chain {chain.chain}: BROKEN: {problem}" for problem in chain.problems)]


def _listed(keys: Sequence[str]) -> str:
    return f"the key {keys[0]}" if len(keys) == 1 else f"{len(keys)} keys ({', '.join(keys)})"


def _say(line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)

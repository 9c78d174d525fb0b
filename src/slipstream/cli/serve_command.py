"""The command `serve`, also known as `run`: engines, schedules, alerts and the server, until it is told to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from slipstream.app.composition import service_manager
from slipstream.cli.codes import EXIT_DIVERGENT, EXIT_ERROR
from slipstream.cli.context import Context
from slipstream.cli.ending import terminated
from slipstream.cli.keeping import LOOK_S, Ending, Front, Keeper, NoFront, Place, Unserved
from slipstream.cli.output import err, handled_errors, out, print_warning
from slipstream.cli.serving import ServerOptions, directories_of, front_of, registry_of
from slipstream.cli.serving_options import Metrics, TokenFile
from slipstream.domain.errors import ConfigError
from slipstream.http.sockets import tell_manager

Address = Annotated[
    str | None,
    typer.Option("--http", metavar="[HOST:]PORT", help="Serve API and console; on loopback without a host."),
]
Named = Annotated[
    list[str] | None, typer.Option("--pkg", metavar="NAME=DIR", help="Serve a further PKG, at /pkgs/NAME.")
]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="NAME", help="A name by which the server may be asked, a proxy's say."),
]
BehindProxy = Annotated[
    bool, typer.Option("--behind-proxy", help="A proxy in front speaks TLS, and hands requests on to here.")
]
Certificate = Annotated[
    Path | None, typer.Option("--tls-cert", help="A certificate with its chain (PEM): speak TLS.")
]
CertificateKey = Annotated[Path | None, typer.Option("--tls-key", help="Its key, if it is not in the same file.")]
BackupFolder = Annotated[Path | None, typer.Option("--backups", help="The folder for backups that the API asks for.")]
UploadSize = Annotated[int, typer.Option("--upload-mb", min=1, help="How large an import by the API may be, in MiB.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application, by both of its names."""
    app.command("serve")(serve)
    app.command("run")(serve)


def serve(  # noqa: PLR0917  (typer reads its options from the arguments)
    context: typer.Context,
    http: Address = None,
    token_file: TokenFile = None,
    metrics: Metrics = None,
    pkg: Named = None,
    allow_host: Hosts = None,
    behind_proxy: BehindProxy = False,
    tls_cert: Certificate = None,
    tls_key: CertificateKey = None,
    backups: BackupFolder = None,
    upload_mb: UploadSize = 1024,
) -> None:
    """
    Keep the index behind the graph, audit and repair by the schedule, and serve the PKG; ends on Ctrl-C or SIGTERM.

    The PKG's own socket is always served, to the user of this process alone. `run` is the same command.

    Exit code: 0, 1 when an alert was firing at the end, 2 when an engine could not go on.
    """
    with handled_errors():
        settings: Context = context.obj
        manager = service_manager()
        options = ServerOptions(
            http=http,
            metrics=metrics,
            token_file=token_file,
            hosts=allow_host or (),
            behind_proxy=behind_proxy,
            tls_cert=tls_cert,
            tls_key=tls_key,
            backups=backups,
            upload_mb=upload_mb,
            descriptors=manager.descriptors,
        )
        directories = directories_of(settings.directory, pkg or ())
        places, front = _fronted(options, directories, may_lack_extra=context.info_name == "run")
        ending = Ending(tell=lambda state: tell_manager(state, manager.notify_address))
        keepers = [Keeper(place, front, ending, alone=len(places) == 1) for place in places]
        with terminated(ending.asked):
            _keep(keepers, front, ending)
        _tell_end(keepers)


def _fronted(
    options: ServerOptions, directories: Mapping[str, Path], *, may_lack_extra: bool
) -> tuple[Sequence[Place], Front | NoFront]:
    """Return the PKGs with the server in front; `run` goes on without one where its extra is not installed."""
    try:
        registry = registry_of(directories)
    except ConfigError as error:
        if not may_lack_extra or options.http is not None or options.metrics is not None:
            raise
        print_warning(f"the engine runs alone: {error}")
        return [Unserved(name, directory) for name, directory in directories.items()], NoFront()
    return list(registry.values()), front_of(options, registry)


def _keep(keepers: Sequence[Keeper], front: Front | NoFront, ending: Ending) -> None:
    """Run them until the process is told to end, or none of them can go on."""
    for keeper in keepers:
        keeper.start()
    while any(keeper.is_alive() for keeper in keepers) and not ending.asked.wait(LOOK_S):
        pass
    ending.tell("STOPPING=1")
    try:
        front.close()
    finally:
        ending.server_over.set()
        ending.asked.set()
        for keeper in keepers:
            keeper.join()


def _tell_end(keepers: Sequence[Keeper]) -> None:
    """Say how it ended, and exit by the code for it."""
    if len(keepers) == 1 and keepers[0].error is not None:
        raise keepers[0].error
    failures = [failure for keeper in keepers if (failure := keeper.ended.failure or keeper.error) is not None]
    for failure in failures:
        err.print(f"the engine has stopped: {failure}", markup=False)
    if failures:
        raise typer.Exit(EXIT_ERROR)
    out.print("ended; nothing is lost")
    if firing := sorted({rule for keeper in keepers for rule in keeper.ended.firing}):
        err.print(f"alerts were firing: {', '.join(firing)}", markup=False)
        raise typer.Exit(EXIT_DIVERGENT)

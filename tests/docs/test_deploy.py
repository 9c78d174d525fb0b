"""deploy/, the Containerfile and docs/running-for-good.md: commands are ones that there are, and checkers pass."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from slipstream.cli.app import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "running-for-good.md").read_text(encoding="utf-8")
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
UNITS = sorted((DEPLOY / "systemd").rglob("*.*"))
EXECUTED = [
    (path, line)
    for path in UNITS
    for line in re.findall(r"^ExecStart=(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
]


def check_command(arguments: list[str]) -> None:
    """Have the command line understand the arguments, without running them."""
    if arguments[:1] == ["--dir"]:
        arguments = arguments[2:]
    name, *rest = arguments
    command: Any = get_command(app)
    command.commands[name].make_context(name, rest)


@pytest.mark.parametrize(
    ("path", "line"), EXECUTED, ids=[path.relative_to(DEPLOY).as_posix() for path, _ in EXECUTED]
)
def test_the_units_start_commands_that_there_are(path: Path, line: str) -> None:
    program, *arguments = shlex.split(line)
    if program == "/bin/sh":
        program, *arguments = shlex.split(arguments[1].removeprefix("exec "))
    assert program.endswith("/slipstream")
    check_command(arguments)


def test_the_socket_has_the_address_that_the_service_has_without_it() -> None:
    systemd = DEPLOY / "systemd" / "system"
    [address] = re.findall(r"^ListenStream=(.+)$", (systemd / "slipstream.socket").read_text("utf-8"), re.MULTILINE)
    served = (systemd / "slipstream.service").read_text("utf-8")
    activated = (systemd / "socket-activated.conf").read_text("utf-8").splitlines()
    [started] = [line for line in served.splitlines() if line.startswith("ExecStart=")]
    assert "\nType=notify\n" in served
    assert activated[-2:] == ["ExecStart=", started.replace(f" --http {address}", "")]


def test_every_timer_has_its_service_and_every_file_is_told() -> None:
    timers = [path for path in UNITS if path.suffix == ".timer"]
    assert len(timers) == 3
    assert all(path.with_suffix(".service").is_file() for path in timers)
    linked = {link.removeprefix("../") for link in re.findall(r"\]\((\.\./[^)#]+)\)", PAGE)}
    files = {path.relative_to(ROOT).as_posix() for path in DEPLOY.rglob("*") if path.is_file()}
    assert {file for file in files if file not in linked and str(Path(file).parent) not in linked} == set()


@pytest.mark.parametrize("kind", ["system", "user"])
def test_systemd_takes_the_units(kind: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd here")
    for path in (DEPLOY / "systemd" / kind).iterdir():
        text = re.sub(
            r"^(ExecStart=)\S*/slipstream\b", rf"\g<1>{sys.executable}", path.read_text("utf-8"), flags=re.MULTILINE
        )
        (tmp_path / path.name).write_text(text.replace("User=slipstream", "User=root"), encoding="utf-8")
    units = [str(path) for path in sorted(tmp_path.iterdir()) if path.suffix != ".conf"]
    checked = subprocess.run(
        [analyze, *(["--user"] if kind == "user" else []), "verify", "--man=no", *units],
        env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if str(tmp_path) in line]) == (0, [])


def test_prometheus_takes_configuration_and_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool here: it is in Debian's package prometheus")
    folder = DEPLOY / "prometheus"
    for command in (["config", "--syntax-only", "prometheus.yml"], ["rules", "alerts.yml"]):
        subprocess.run([promtool, "check", *command], cwd=folder, check=True, capture_output=True)


def test_the_commands_on_the_page_are_ones_that_there_are() -> None:
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", " ").splitlines()
    told = [words for words in map(shlex.split, lines) if any(word.endswith("slipstream") for word in words)]
    inside = [
        line.partition("/slipstream ")[2] for line in PAGE.splitlines() if re.match(r" {4}[\d*]+ \d+ \* ", line)
    ]
    commands = [words[1:] for words in told if words[0] == "slipstream"]
    commands += [shlex.split(line) for line in inside]
    assert len(commands) == 5
    for command in commands:
        check_command(command)


def test_the_image_is_pinned_and_serves_what_its_health_asks() -> None:
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", CONTAINERFILE, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", CONTAINERFILE, re.MULTILINE) == ["${BASE}"] * 2
    [user] = re.findall(r"^USER (\d+):", CONTAINERFILE, re.MULTILINE)
    assert int(user) > 0
    assert f"--uid {user} " in CONTAINERFILE
    assert f"uid={user}," in PAGE
    entry, command = (
        json.loads(re.findall(rf"^{word} (\[.*\])$", CONTAINERFILE, re.MULTILINE)[0])
        for word in ("ENTRYPOINT", "CMD")
    )
    check_command([*entry[1:], *command])
    [port] = re.findall(r"^EXPOSE (\d+)$", CONTAINERFILE, re.MULTILINE)
    assert command[command.index("--http") + 1] == f"0.0.0.0:{port}"
    assert f"http://127.0.0.1:{port}/healthz" in CONTAINERFILE
    assert "--token-file" in command
    volumes = json.loads(re.findall(r"^VOLUME (\[.*\])$", CONTAINERFILE, re.MULTILINE)[0])
    assert volumes == [entry[entry.index("--dir") + 1], command[command.index("--backups") + 1]]


def test_the_image_is_made_of_files_that_are_sent_and_of_extras_that_there_are() -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINERFILE, re.MULTILINE)
        for name in line.split()[:-1]
    ]
    assert sorted(copied) == sorted(sent)
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = re.findall(r"--extra (\S+)", CONTAINERFILE)
    assert wanted
    assert set(wanted) <= set(project["optional-dependencies"])
    assert fnmatch.filter(copied, "*.lock"), "what is installed is what the lock file says"

"""The import contracts of `pyproject.toml` hold, and importing Slipstream loads no vendor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_ERROR, EXIT_STATUS_SUCCESS, lint_imports

from tests.architecture.rules import LAZY_VENDORS
from tests.architecture.sources import ROOT, SOURCES


def test_import_contracts_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, is_debug_mode=False)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_a_broken_contract_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = tmp_path / "contract.toml"
    contract.write_text(
        '[tool.importlinter]\nroot_package = "slipstream"\n[[tool.importlinter.contracts]]\nname = "upside down"\n'
        'type = "layers"\nlayers = ["slipstream.domain", "slipstream.sync"]\n'
    )
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename=str(contract), no_cache=True) == EXIT_STATUS_ERROR


def test_every_package_is_on_a_floor() -> None:
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = {path.parent.name for path in SOURCES.glob("*/__init__.py")}
    assert [name for name in sorted(packages) if f"slipstream.{name}" not in contracts] == []


@pytest.mark.parametrize("module", ["slipstream", "slipstream.sync.engine", "slipstream.bootstrap"])
def test_importing_loads_no_vendor(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({LAZY_VENDORS!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stdout.strip()) == (0, ""), run.stderr

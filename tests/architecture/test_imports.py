"""The import contracts of `pyproject.toml` hold, and importing Slipstream loads no vendor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.rules import LAZY_VENDORS
from tests.architecture.sources import ROOT, SOURCES


def _lint(config: Path) -> subprocess.CompletedProcess[str]:
    # In a process of its own: the linter configures logging, and switches off every logger that exists by then.
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(sys.argv[1], no_cache=True))"
    command = [sys.executable, "-c", code, str(config)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


def test_import_contracts_hold() -> None:
    result = _lint(ROOT / "pyproject.toml")
    assert result.returncode == 0, result.stdout


def test_a_broken_contract_is_noticed(tmp_path: Path) -> None:
    contract = tmp_path / "contract.toml"
    contract.write_text(
        '[tool.importlinter]\nroot_package = "slipstream"\n[[tool.importlinter.contracts]]\nname = "upside down"\n'
        'type = "layers"\nlayers = ["slipstream.domain", "slipstream.engine"]\n'
    )
    result = _lint(contract)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout


def test_every_package_is_on_a_floor() -> None:
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = {path.parent.name for path in SOURCES.glob("*/__init__.py")}
    assert [name for name in sorted(packages) if f"slipstream.{name}" not in contracts] == []


@pytest.mark.parametrize(
    "module",
    [
        "slipstream",
        "slipstream.engine.loop",
        "slipstream.app.composition",
        "slipstream.adapters.cypher.kglite",
        "slipstream.adapters.cypher.kglite.child",
    ],
)
def test_importing_loads_no_vendor(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({LAZY_VENDORS!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stdout.strip()) == (0, ""), run.stderr

"""What the wheel brings is typed: a program that uses it passes `mypy --strict`, and its mistakes are found."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """\
import asyncio
from typing import assert_type

import slipstream
from slipstream import Entity, Options, Position, SearchHit, SlipstreamError, View, aio


def name_of(hit: SearchHit) -> str:
    return hit.name


def main() -> None:
    views = (View("Person", "{{ name }}"),)
    with slipstream.open("my-pkg", create=True, options=Options(views=views)) as slip:
        position = slip.pkg.create_entity("Person", "ada", {"name": "Ada Lovelace"})
        assert_type(position, Position)
        results = slip.search("first programmer", after=position)
        print([name_of(hit) for hit in results], slip.status().pending, results[0].score)
        entity = slip.get("ada")
        assert_type(entity, Entity)
        for row in slip.neighbours("ada").items:
            print(row.relationship_type, row.direction.value)
        print(slip.explain("ada").text, slip.verify().is_consistent)
    try:
        slipstream.connect("http://127.0.0.1:8420", token="-").close()
    except SlipstreamError as error:
        print(error)


async def beside() -> None:
    async with aio.open("my-pkg", run=False) as slip:
        async with slip.pkg.transaction() as tx:
            tx.relate("ada", "KNOWS", "bob", {"since": 1833}, replace=True)
        assert_type(await slip.get("ada"), Entity)
        assert_type(await slip.sync.wait(await slip.pkg.head(), timeout_s=1.0), bool)


main()
asyncio.run(beside())
"""
MISTAKES = """\
import slipstream
from slipstream import NoSuchName, aio

slipstream.open("my-pkg", creat=True)
slipstream.open("my-pkg", options={})


async def beside() -> None:
    async with aio.open("my-pkg", runs=True) as slip:
        await slip.search("ada", kk=3)
        slip.get("ada").type
"""
FOUND = {2: "attr-defined", 4: "call-arg", 5: "arg-type", 9: "call-arg", 10: "call-arg", 11: "attr-defined"}
"""Each mistake, by its line."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment that has the wheel, and finds what that depends on in this one."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed: `pip install uv`")
    root = tmp_path_factory.mktemp("wheel")
    made = [uv, "build", "--wheel", "--quiet", "--out-dir", str(root)]
    subprocess.run(made, cwd=ROOT, check=True, capture_output=True, timeout=600)
    (wheel,) = root.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / "env")], check=True)
    (packages,) = root.glob("env/lib/*/site-packages")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(packages)  # as an installer does, but for its records
    (packages / "depends.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return root


def _checked(site: Path, program: str) -> str:
    (site / "program.py").write_text(program, encoding="utf-8")
    line = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(site / "cache")]
    line += ["--python-executable", str(site / "env" / "bin" / "python"), "program.py"]
    return subprocess.run(line, cwd=site, capture_output=True, text=True, check=False, timeout=600).stdout


def test_the_wheel_says_that_it_is_typed(site: Path) -> None:
    (packages,) = site.glob("env/lib/*/site-packages")
    assert (packages / "slipstream" / "py.typed").is_file()
    where = [str(site / "env" / "bin" / "python"), "-c", "import slipstream; print(slipstream.__file__)"]
    said = subprocess.run(where, cwd=site, capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(packages / "slipstream" / "__init__.py")


def test_a_program_that_uses_it_well_passes_and_each_mistake_is_found(site: Path) -> None:
    assert _checked(site, PROGRAM).startswith("Success")
    told = [line.split(":", 2) for line in _checked(site, MISTAKES).splitlines() if ": error:" in line]
    assert {int(line): text.rpartition("[")[2].rstrip("]") for _, line, text in told} == FOUND

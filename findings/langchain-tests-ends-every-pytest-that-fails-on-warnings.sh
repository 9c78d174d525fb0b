#!/usr/bin/env bash
# Expected: installing `langchain-tests` changes nothing for tests that do not use it.
# Happens:  it brings seven plugins that every pytest of the environment loads (asyncio, benchmark, codspeed, recording,
#           socket, syrupy, langsmith). With `filterwarnings = error` one of them, pytest-asyncio, ends each run
#           before the first test: INTERNALERROR, asyncio_default_fixture_loop_scope is unset.
# Matters:  a suite that is strict about warnings stops running on the day that one of its developers tests a LangChain
#           store. Set that option, or switch the plugins off (`-p no:asyncio …`) where they are not wanted.
# Version:  langchain-tests 1.1.9 with pytest-asyncio 1.5.0 (PyPI). Found when our own suite ended so.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'langchain-tests==1.1.9' || exit 2
printf '[pytest]\nfilterwarnings = error\n' > pytest.ini
printf 'def test_nothing() -> None:\n    pass\n' > test_nothing.py
env/bin/pip list --disable-pip-version-check 2>/dev/null | grep -i -E '^(langchain-tests|pytest)' || true
echo "One empty test, warnings are errors: without the plugin it passes, with it pytest ends with an internal error."
without=0; with=0
env/bin/python -m pytest -q -p no:asyncio -p no:codspeed -p no:benchmark > without.txt 2>&1 || without=$?
env/bin/python -m pytest -q > with.txt 2>&1 || with=$?
echo "seen: exit codes $without and $with"
[ "$without" = 0 ] && [ "$with" = 3 ] && grep -q 'asyncio_default_fixture_loop_scope' with.txt && exit 0
cat without.txt with.txt
exit 1

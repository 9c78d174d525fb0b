"""
The packaged MiniLM, both runtimes, beside an older version of this package: one run, in alternation.

`python -m bench.minilm --old PYTHON`, where that interpreter has the older version installed.
"""

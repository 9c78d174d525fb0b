"""
A simulator of the engine's real threads: one runs at a time, and a seed decides who is next.

`schedule.Schedule(seed).run()` is one run; `python -m tests.simulation.threads` makes many, and replays one. What it
checks, and what it has found, is in docs/simulation.md.
"""

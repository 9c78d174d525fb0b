"""
A generation built beside the live one: proved, swapped, taken back.

Holds the plan, the steps and the swap. May touch: audit, engine, recipes, quality, domain, ports.
"""

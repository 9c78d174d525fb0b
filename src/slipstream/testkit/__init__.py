"""
For authors of adapters: conformance suites, deliberately broken adapters, fakes, a system in memory.

Shipped with the package. May touch: everything but faces.
"""

"""
For authors of adapters: conformance suites, deliberately broken adapters, fakes, the simulator.

Shipped with the package. May touch: everything but faces.
"""

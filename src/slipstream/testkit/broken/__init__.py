"""Deliberately broken adapters: each must fail its port's conformance suite, or the suite proves nothing."""

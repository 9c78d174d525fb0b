"""
Models that read a query and a text together.

Holds the adapter for cross-encoders in ONNX. May touch: domain, ports.
"""

"""
What is told of a PKG: alerts and evidence.

Holds the rules and the state of alerts, and the page of evidence. May touch: audit, domain, ports.
"""

"""
One package or module for each vendor, by the port it meets; vendor imports are lazy, behind extras.

Holds everything that knows a vendor, and wrappers around ports. May touch: domain, ports.
"""

"""
The command line: parses, calls `app`, shows.

Holds one file for each group of commands. May touch: app, and values of domain.
"""

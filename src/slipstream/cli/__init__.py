"""
The command line: parses, calls `app`, shows.

Holds one file a group of commands. May touch: app, and values of domain.
"""

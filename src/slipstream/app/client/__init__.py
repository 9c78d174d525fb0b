"""
A PKG that a server holds, asked over its socket or over HTTP: the facade of `open`, with nothing opened here.

`wire` and `addresses` need the standard library only, so that a command that finds a server starts at once.
"""

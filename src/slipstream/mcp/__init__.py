"""
Tools for agents, by the Model Context Protocol.

Parsing, calling the facade, showing. May touch: app, http.
"""

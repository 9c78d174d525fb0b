"""
Events and graphs from elsewhere, and the specification's handler, updater and queue.

Holds formats (pure), imports, applied feeds, the handler. May touch: engine, apply, recipes, domain, ports.
"""

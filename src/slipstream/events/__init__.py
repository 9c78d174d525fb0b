"""
Events and graphs from elsewhere, and the specification's handler, updater and queue.

Holds formats (pure), imports, the application of feeds, the handler. May touch: engine, apply, recipes, domain,
ports.
"""

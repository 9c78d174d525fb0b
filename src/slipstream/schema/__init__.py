"""Schema versions, the schema-versioned embedding store and re-embedding."""

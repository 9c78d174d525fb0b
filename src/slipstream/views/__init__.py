"""Which text stands for an entity, and what that text depends on. Pure."""

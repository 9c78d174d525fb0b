"""Model registry, router, service, cache keys and temporal fusion."""

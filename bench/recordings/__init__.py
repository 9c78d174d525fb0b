"""Records of the real Debezium for PostgreSQL, recorded into tests/data/debezium."""

"""What every SQLite file of ours shares: connections, the queue of writers, errors."""

"""What makes files that are shipped; nothing here is installed."""

"""One suite for the readers of all formats; each format has a case in `cases/`."""

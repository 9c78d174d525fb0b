"""Many processes on one PKG: a long soak, and how soon a commit is searchable in another process."""

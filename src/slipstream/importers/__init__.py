"""
Importers: what people bring, read as entities and relationships.

Each format has a reader (`rows.RowReader`), which knows one kind of file and nothing of a graph. `importing.py`
writes what a reader yields: in batches, resumably, each row once.
"""

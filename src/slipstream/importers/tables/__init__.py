"""Tables: CSV and TSV, plain or with the headers of `neo4j-admin database import`."""

"""How good the vectors are: one generation beside another, and each record by itself."""

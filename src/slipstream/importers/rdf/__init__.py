"""
RDF as a property graph: Turtle, N-Triples, N-Quads, TriG, JSON-LD and RDF/XML, parsed by pyoxigraph.

What becomes of a triple is told, with reasons, in docs/importing-rdf.md. `syntaxes` tells what a file is written in,
`parsing` reads it, `spooling` gathers the statements about each node on disk, and `entities` makes rows of them.
"""

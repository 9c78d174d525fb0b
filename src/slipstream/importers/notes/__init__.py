"""
Notes: a folder of Markdown, as Obsidian and Logseq write it, read as entities and the links between them.

`vault` knows the files, `front_matter` and `markdown` one note's text, `links` what a link leads to, `identity` which
id a note has (also after it was moved), and `note_rows` what all of it comes to. `reader` reads a whole vault for an
import; `keeping` and `watching` keep a graph in step with one.
"""

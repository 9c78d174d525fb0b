"""What each arm of a search is worth: WordNet and the Human Phenotype Ontology, asked in many ways."""

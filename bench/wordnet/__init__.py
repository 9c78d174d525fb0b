"""Two versions of Slipstream side by side on WordNet."""

"""Erasing an entity everywhere, and the receipt that says so."""

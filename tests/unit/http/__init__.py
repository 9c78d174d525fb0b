"""Unit tests of the HTTP face."""

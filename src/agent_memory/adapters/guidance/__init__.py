"""Answers that keep to a grammar, by llguidance."""

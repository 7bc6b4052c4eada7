"""Explaining: rows of text -> Explanations."""

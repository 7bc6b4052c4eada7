"""Families: what differs between BERT and its relatives, one file of facts each."""

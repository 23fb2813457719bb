"""Synthetic chest radiographs with known findings: the corpus that needs no download."""

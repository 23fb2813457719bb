"""Bundles in other formats, each compared with the bundle on its own test films.

Needs the extra `train`; the bundle itself needs none of it.
"""

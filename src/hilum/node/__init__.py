"""The node beside a PACS: films in by DICOM, results back by DICOM, and nothing lost between.

It receives, keeps books, groups films by study, and sends. It has no way of its own to decode or
score: films are read in confined processes and scored by the bundle, as `hilum predict` does.
"""

"""Heatmaps drawn over the film, and the zones they peak in.

A heatmap shows which regions raised a finding's score. It is supporting evidence, never the
location of disease.

Evidence: `request` (which maps), `region` (the zones they peak in). Drawing: `overlay` (colors over
the film), `picture` (tiles and words), `caption`, `files` (PNG and JPEG). Check: `sanity`, with the
untrained networks of `layers`.
"""

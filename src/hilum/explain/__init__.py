"""Where the model looked: heatmaps drawn over the film, and the zones they peak in.

A heatmap shows which regions raised a finding's score. It is supporting evidence, never the
location of disease.
"""

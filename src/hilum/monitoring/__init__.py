"""Whether what comes in, and what a bundle says of it, is still as it was: without labels.

`films` is what is watched of each film, `channels` makes bounded numbers of it, `days` says how far
days of drawn patients stray, `reference` freezes limits, and `check` holds new days against them.
"""

"""Feature extractors: `base.py` holds the contract; each other file is one, named as its file.

`hilum.model.backbone.backbone` finds them by name.
"""

"""Numbers about scores, as pure functions of arrays. Nothing here knows of models or files."""

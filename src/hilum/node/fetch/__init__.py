"""Films fetched from an archive into a folder: a list of studies in, one row for each line out."""

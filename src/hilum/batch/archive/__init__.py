"""Archives: a plan of all films on disk, chunks of it scored anywhere, and a part for each."""

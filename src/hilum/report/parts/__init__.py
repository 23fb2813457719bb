"""What reports are put together from: shown names, sentences, counts, charts, pages."""

"""From a file, by content and never by suffix, to a film; from a film to a network's input."""

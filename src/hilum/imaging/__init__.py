"""Reading of film files, by content and never by suffix, and the network's input from a film."""

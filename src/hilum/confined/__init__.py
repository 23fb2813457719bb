"""A child process with limits on memory, time, files and network. It knows no film."""

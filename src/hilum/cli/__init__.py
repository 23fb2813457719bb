"""The command line: one file a verb. Each reads, calls, writes, and prints the path."""

from hilum.cli.app import command, main

__all__ = ["command", "main"]

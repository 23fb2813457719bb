"""Run the command line as `python -m hilum`, where the shell does not find the command."""

from __future__ import annotations

from hilum.cli.app import command

if __name__ == "__main__":
    command()

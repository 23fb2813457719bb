"""An audit as Markdown."""

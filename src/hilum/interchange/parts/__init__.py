"""What the kinds of objects share: codes, UIDs, valid values, modules, content items."""

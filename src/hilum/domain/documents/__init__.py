"""The documents that hilum publishes as JSON: one file each, with its schema in the docs."""

"""PNG, JPEG and TIFF to a film."""

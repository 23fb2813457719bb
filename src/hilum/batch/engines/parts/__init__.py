"""What engines stand on."""

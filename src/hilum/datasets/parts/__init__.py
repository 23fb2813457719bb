"""What readers are made of; no file in here is a reader."""

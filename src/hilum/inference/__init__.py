"""What the exported network says of films. OpenVINO and NumPy; no torch."""

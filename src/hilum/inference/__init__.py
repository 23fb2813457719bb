"""What the exported network says of films. OpenVINO or ONNX Runtime, and NumPy; no torch."""

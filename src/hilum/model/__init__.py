"""The network: a backbone, global average pooling and a linear head. Needs the `train` extra."""

"""Films on their way to the network: read once, kept reduced, drawn and changed by seed."""

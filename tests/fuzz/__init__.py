"""Random answers of a gateway."""

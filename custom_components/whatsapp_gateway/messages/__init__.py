"""Send and receive messages."""

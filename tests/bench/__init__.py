"""What the integration costs."""

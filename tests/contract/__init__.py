"""Check a provider against a real gateway: `scripts/contract`."""

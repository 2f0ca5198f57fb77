"""The demo: Home Assistant beside simulated gateways and a phone."""

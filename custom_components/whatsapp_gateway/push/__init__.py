"""Let gateways report changes and messages by themselves."""

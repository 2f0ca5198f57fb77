"""Every fault of every route, wherever the integration asks the gateway."""

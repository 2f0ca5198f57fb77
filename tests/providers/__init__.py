"""Tests of the clients of the gateways."""

"""Tests of the ways in which gateways report."""

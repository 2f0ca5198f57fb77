"""Thirty days of an account."""

"""Tests of what happens to messages."""

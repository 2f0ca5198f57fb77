"""Tests of the linking and the QR codes."""

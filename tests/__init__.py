"""Tests of the WhatsApp Gateway integration."""

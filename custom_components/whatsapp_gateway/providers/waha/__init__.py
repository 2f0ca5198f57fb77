"""The provider of WAHA."""

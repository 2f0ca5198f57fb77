"""The provider of Evolution API."""

"""The provider of Wappfy."""

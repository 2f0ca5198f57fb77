"""The steps of dialogs."""

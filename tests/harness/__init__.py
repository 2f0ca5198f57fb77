"""What several tests use: the clock, the dialogs, the search for secrets."""

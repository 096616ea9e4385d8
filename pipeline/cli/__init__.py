"""The `stylistic` command. Each module imports what its commands need when they are called."""

"""Where jobs come from: drops, when they are ready, whose they are, and how they become jobs."""

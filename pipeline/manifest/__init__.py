"""What may be asked for: what a manifest may say, and how one is read."""

"""A job on its way: record, result, losses, checkpoint; the folders that are its states; the lock."""

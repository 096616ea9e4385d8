"""How long work takes on this machine: by the pictures that were painted here, and by a running job's own steps."""

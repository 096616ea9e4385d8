"""Whether this machine is fit: what jobs need, link by link."""

"""What a job's owner receives: the result, its curve, the page of all; and what `status` tells."""

"""The loop: take in, dispatch, publish; and what runs the jobs behind one seam."""

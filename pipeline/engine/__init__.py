"""Neural style transfer on arrays. The only code that imports TensorFlow; it knows no jobs and no folders."""

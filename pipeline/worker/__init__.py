"""One job from start to finish, in the process that owns TensorFlow, the device and the extractor."""

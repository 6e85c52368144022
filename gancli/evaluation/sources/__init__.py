"""Where images to evaluate come from: generator files, checkpoints, pictures, features."""

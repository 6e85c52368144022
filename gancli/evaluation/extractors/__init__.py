"""Networks that compute features of images."""

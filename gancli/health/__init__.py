"""Sees that a GAN fails, and says what to change."""

"""Sees when a GAN fails, and says what to change."""

"""Detect when a GAN fails, and advise what to change."""

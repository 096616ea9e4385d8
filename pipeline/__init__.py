"""Stylistic: a folder pipeline for neural style transfer."""

"""Encoders that TensorFlow computes."""

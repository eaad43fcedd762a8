"""Encoders that are models of transformers, which PyTorch computes."""

"""The paper's networks, each in Keras and in PyTorch."""

"""Batches as what a framework trains on: a DataLoader, a tf.data.Dataset, a PyDataset."""

"""From video files to embeddings: decoding beside the networks, in batches."""

"""The encoders of the published embeddings, and the corrected EfficientNetB0."""

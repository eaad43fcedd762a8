"""How far the embeddings of two configs are apart."""

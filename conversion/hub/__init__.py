"""A package on the Hugging Face Hub: publishing it, and bringing it."""

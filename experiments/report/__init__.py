"""A page of pictures of what is in a package."""

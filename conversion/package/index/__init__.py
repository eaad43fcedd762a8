"""Where in a config's Arrow shards each record batch and each of its columns lies."""

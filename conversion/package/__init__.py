"""The hub package: its manifests and schemas, and how shards are written and read."""

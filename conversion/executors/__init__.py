"""Engines that compute a command's shards elsewhere: Slurm's jobs, Ray's tasks.

A task is the command line that the user wrote with `--shards`, so nothing here knows what a shard
holds, only what a plan says of it (`parts`). It is in this package, for both commands that have
shards stand above it: `convert` here and `extract` in extraction.
"""

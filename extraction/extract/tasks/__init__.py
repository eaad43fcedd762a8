"""`avmit extract --shards`: a config that many tasks make (avmit); see `conversion.parts`."""

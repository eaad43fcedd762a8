"""From rows to what networks are fed with; what is public is called by names of avmit."""

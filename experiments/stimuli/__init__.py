"""Clips as stimuli for experiments with people: names, facts, conditions and tables."""

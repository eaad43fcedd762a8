"""Balanced lists of trials, for BIDS, PsychoPy and jsPsych."""

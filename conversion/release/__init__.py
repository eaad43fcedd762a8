"""The release as downloaded: its CSVs, its sets of records, and one to generate."""

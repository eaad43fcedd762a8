"""Lists of videos that users write: CSV files with a column `filename`."""

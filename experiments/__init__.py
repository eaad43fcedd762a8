"""What the rows of avmit are for: batches for networks, joins and selections."""

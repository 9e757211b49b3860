"""Where things are kept: the journal in SQLite, values as files named by their content."""

"""The series store: an index, a head in memory, a log and compressed blocks in SQLite."""

-- Room for the next slice.
TRUNCATE draft_entry

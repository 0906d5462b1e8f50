-- So that the statements after this one are planned for what is there.
ANALYZE draft_entry

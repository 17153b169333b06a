-- Of the time from the first prompt that a run's models read to the last answer, the share in which none worked. NULL: not known.
ALTER TABLE runs ADD COLUMN idle_share DOUBLE;

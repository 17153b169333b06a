-- Money. Rows of before have none: NULL is not known, 0 is free.
ALTER TABLE trials ADD COLUMN cost_usd DOUBLE;
ALTER TABLE runs ADD COLUMN spent_usd DOUBLE;

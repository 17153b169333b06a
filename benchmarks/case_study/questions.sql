-- Questions that a perfect reader of what came back could answer, with 95 % Wilson intervals.
SELECT codec AS carrier, printf('%.2f', encoded_ratio) AS ratio, n AS questions, printf('%.0f %%', 100 * accuracy) AS answerable,
  printf('%.0f to %.0f', 100 * accuracy_low, 100 * accuracy_high) AS "95 %"
FROM summary
ORDER BY accuracy DESC, encoded_ratio;

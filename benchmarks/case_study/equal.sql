-- Carriers and baselines by what they cost: the share of the characters that came back, after no, light and heavy damage.
SELECT codec AS carrier,
  printf('%.0f', 100 * sum(encoded_tokens) / sum(reference_tokens)) AS "tokens, text = 100",
  printf('%.1f', 100 * (1 - least(1, avg(character_error_rate) FILTER (augmentation = 'clean')))) AS "back, clean",
  printf('%.1f', 100 * (1 - least(1, avg(character_error_rate) FILTER (augmentation = 'light')))) AS "light",
  printf('%.1f', 100 * (1 - least(1, avg(character_error_rate) FILTER (augmentation = 'heavy')))) AS "heavy",
  printf('%.0f %%', 100 * avg(identifier_recall) FILTER (augmentation = 'light')) AS "identifiers, light"
FROM results
GROUP BY codec
ORDER BY sum(encoded_tokens) / sum(reference_tokens) DESC;

-- Of trials that were run again after an update, the last ones.
-- Carriers and baselines by what they cost: the percentage of the characters that came back, of the median document and of the worst.
SELECT codec AS carrier,
  printf('%.0f', 100 * sum(encoded_tokens) / sum(reference_tokens)) AS "tokens, text = 100",
  printf('%.1f', 100 * median(back) FILTER (augmentation = 'clean')) AS "clean",
  printf('%.1f', 100 * median(back) FILTER (augmentation = 'light')) AS "light",
  printf('%.1f', 100 * min(back) FILTER (augmentation = 'light')) AS "light, worst",
  printf('%.1f', 100 * median(back) FILTER (augmentation = 'heavy')) AS "heavy",
  CASE WHEN min(back) FILTER (augmentation = 'light') < 1 THEN arg_min(sample_metadata->>'source', back) FILTER (augmentation = 'light') ELSE ''
    END AS "which is worst"
FROM (SELECT *, 1 - least(1, character_error_rate) AS back FROM results
  QUALIFY row_number() OVER (PARTITION BY model, adapter, task, codec, augmentation, sample_index ORDER BY created_at DESC) = 1)
GROUP BY codec
ORDER BY sum(encoded_tokens) / sum(reference_tokens) DESC;

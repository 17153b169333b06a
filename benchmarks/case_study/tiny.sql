-- Of trials that were run again after an update, the last ones.
-- The embedded model's answers, with 95 % Wilson intervals of exact ones; character errors in percent.
WITH cells AS (
  SELECT coalesce(adapter, 'base') AS model, task, codec, count(*) AS n, sum(exact_match) AS hits,
    sum(reference_tokens) / sum(encoded_tokens) AS ratio, median(character_error_rate) AS error
  FROM (SELECT * FROM results QUALIFY row_number() OVER (PARTITION BY model, adapter, task, codec, augmentation, sample_index ORDER BY created_at DESC) = 1)
  GROUP BY ALL
), bounds AS (
  SELECT *, (hits / n + 1.92073 / n) / (1 + 3.84146 / n) AS middle,
    1.95996 * sqrt(hits / n * (1 - hits / n) / n + 0.960365 / n / n) / (1 + 3.84146 / n) AS half FROM cells
)
SELECT task AS records, model, codec AS carrier, printf('%.2f', ratio) AS ratio, n, printf('%.0f %%', 100 * hits / n) AS exact,
  printf('%.0f to %.0f', 100 * greatest(0, middle - half), 100 * least(1, middle + half)) AS "95 %",
  printf('%.0f', 100 * error) AS "error, median"
FROM bounds
ORDER BY task, model, codec = 'codebook', codec = 'render';

-- Of trials that were run again after an update, the last ones.
-- What the carriers' own decoders made of the pages: character errors in percent, of the median document and in brackets of the worst (a
-- refused document counts as 100); documents that came back exactly, wrong and refused; numbers, codes and names right under light damage.
SELECT codec AS carrier,
  printf('%.1f', sum(reference_tokens) / sum(encoded_tokens)) AS ratio,
  printf('%.2f (%.2f)', 100 * median(error) FILTER (augmentation = 'clean'), 100 * max(error) FILTER (augmentation = 'clean')) AS clean,
  printf('%.2f (%.1f)', 100 * median(error) FILTER (augmentation = 'light'), 100 * max(error) FILTER (augmentation = 'light')) AS light,
  printf('%.2f (%.1f)', 100 * median(error) FILTER (augmentation = 'heavy'), 100 * max(error) FILTER (augmentation = 'heavy')) AS heavy,
  string_agg(right_wrong_refused, ' · ' ORDER BY augmentation = 'heavy', augmentation = 'light') FILTER (first_row) AS "exact/wrong/refused",
  printf('%.0f %%', 100 * avg(identifier_recall) FILTER (augmentation = 'light')) AS "identifiers, light"
FROM (
  SELECT *, character_error_rate AS error,
    row_number() OVER (PARTITION BY codec, augmentation ORDER BY sample_index) = 1 AS first_row,
    printf('%d/%d/%d',
      count(*) FILTER (correct) OVER (PARTITION BY codec, augmentation),
      count(*) FILTER (NOT correct AND channel_error IS NULL) OVER (PARTITION BY codec, augmentation),
      count(*) FILTER (channel_error IS NOT NULL) OVER (PARTITION BY codec, augmentation)) AS right_wrong_refused
  FROM (SELECT * FROM results QUALIFY row_number() OVER (PARTITION BY model, adapter, task, codec, augmentation, sample_index ORDER BY created_at DESC) = 1)
  WHERE codec NOT LIKE 'truncate%'
)
GROUP BY codec
ORDER BY min(CASE WHEN codec LIKE 'render%' OR codec = 'half resolution' THEN 1 WHEN codec LIKE 'codebook%' THEN 2 WHEN codec LIKE 'QR%' THEN 3
  ELSE 0 END), sum(reference_tokens) / sum(encoded_tokens);

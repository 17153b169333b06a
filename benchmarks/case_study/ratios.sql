-- Of trials that were run again after an update, the last ones.
-- Reference tokens over the tokens of the carrier, markers included, by document; Qwen2-VL's rule.
SELECT codec AS carrier,
  printf('%.2f', sum(reference_tokens) FILTER (sample_metadata->>'source' LIKE 'hotpotqa%')
    / sum(encoded_tokens) FILTER (sample_metadata->>'source' LIKE 'hotpotqa%')) AS hotpotqa,
  printf('%.2f', max(encoded_ratio) FILTER (sample_metadata->>'source' = 'essay.txt')) AS essay,
  printf('%.2f', max(encoded_ratio) FILTER (sample_metadata->>'source' = 'token_bucket.py')) AS "source file",
  printf('%.2f', max(encoded_ratio) FILTER (sample_metadata->>'source' = 'package.json')) AS "package.json",
  printf('%.2f', max(encoded_ratio) FILTER (sample_metadata->>'source' = 'shipments.json')) AS "API answer",
  printf('%.2f', sum(reference_tokens) / sum(encoded_tokens)) AS "all",
  printf('%.2f', sum(context_bytes) / sum(payload_bytes)) AS "of it, text"
FROM (SELECT * FROM results QUALIFY row_number() OVER (PARTITION BY model, adapter, task, codec, augmentation, sample_index ORDER BY created_at DESC) = 1)
WHERE augmentation = 'clean' AND codec NOT LIKE 'truncate%'
GROUP BY codec
ORDER BY sum(reference_tokens) / sum(encoded_tokens) DESC;

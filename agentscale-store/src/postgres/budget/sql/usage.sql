SELECT day, model, calls, input_tokens, cached_input_tokens, cache_write_input_tokens, output_tokens, reasoning_tokens,
  cost, cut_calls, cut_tokens, cut_cost, unpriced_calls
FROM @.budget_usage
WHERE tenant = $1 AND account = $2 AND day BETWEEN $3 AND $4 AND (day, model) > ($5, $6)
ORDER BY day, model
LIMIT $7

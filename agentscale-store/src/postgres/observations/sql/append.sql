INSERT INTO @.observations
SELECT u.tenant, u.at, u.counter, u.node, u.writer, u.number, u.level, u.name, u.trace, u.task, u.agent_type, u.agent_key,
  u.fields::json, u.truncated, array_to_tsvector(string_to_array(u.words, ' '))
FROM unnest(
  $1::text[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::smallint[], $8::text[],
  $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::boolean[], $15::text[]
) AS u (
  tenant, at, counter, node, writer, number, level, name, trace, task, agent_type, agent_key, fields, truncated, words
)
ON CONFLICT DO NOTHING

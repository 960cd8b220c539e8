-- The rows of accounts that are named for the first time.
INSERT INTO @.slot_accounts (tenant, account)
SELECT tenant, account FROM unnest($1::text[], $2::text[]) AS i(tenant, account)
ORDER BY tenant, account
ON CONFLICT (tenant, account) DO NOTHING

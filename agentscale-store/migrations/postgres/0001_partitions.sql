-- `@` stands for the schema. What tables by month have in common: a parent, a partition for each month `parent_YYYY_MM`, and
-- `parent_default`, which takes what no month does. Statements of data definition take no parameters: these functions do.
-- Who retires a table claims it for a time, in microseconds of the server's clock.
CREATE TABLE @.partition_claims (
  name text COLLATE "C" PRIMARY KEY,
  holder uuid NOT NULL,
  until bigint NOT NULL
);

-- One instance at a time. Who waits for a table's lock keeps all who come after waiting too, so it waits for a moment only.
CREATE FUNCTION @.partition_lock(parent text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('lock_timeout', '500ms', true);
  RETURN pg_try_advisory_xact_lock(hashtextextended('@.' || parent, 0));
END $$;

CREATE FUNCTION @.partition_exists(name text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT to_regclass(format('%I.%I', rtrim('@.', '.'), name)) IS NOT NULL
$$;

-- `made`, `present` or `busy`. Rows of the month that the default holds move over. The partition is attached rather than
-- made in its place, as that leaves reads and writes of the parent alone.
CREATE FUNCTION @.partition_make(parent text, name text, key text, low bigint, high bigint, tenants text[])
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  home text := rtrim('@.', '.');
  tenant text;
BEGIN
  IF @.partition_exists(name) THEN RETURN 'present'; END IF;
  IF NOT @.partition_lock(parent) THEN RETURN 'busy'; END IF;
  IF @.partition_exists(name) THEN RETURN 'present'; END IF;
  EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', home, parent || '_default');
  EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)%s',
    home, name, home, parent, CASE WHEN cardinality(tenants) > 0 THEN ' PARTITION BY LIST (tenant)' ELSE '' END);
  FOREACH tenant IN ARRAY tenants LOOP
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I.%I PARTITION OF %I.%I FOR VALUES IN (%L)',
      home, name || '_' || left(md5(tenant), 16), home, name, tenant);
  END LOOP;
  IF cardinality(tenants) > 0 THEN
    EXECUTE format('CREATE TABLE %I.%I PARTITION OF %I.%I DEFAULT', home, name || '_default', home, name);
  END IF;
  EXECUTE format('WITH gone AS (DELETE FROM %I.%I WHERE %I >= %s AND %I < %s RETURNING *) INSERT INTO %I.%I SELECT * FROM gone',
    home, parent || '_default', key, low, key, high, home, name);
  EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%s) TO (%s)',
    home, parent, home, name, low, high);
  RETURN 'made';
EXCEPTION WHEN lock_not_available THEN
  RETURN 'busy';
END $$;

-- `detached`, `absent` or `busy`.
CREATE FUNCTION @.partition_detach(parent text, name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  home text := rtrim('@.', '.');
BEGIN
  IF NOT @.partition_lock(parent) THEN RETURN 'busy'; END IF;
  IF NOT EXISTS (
    SELECT FROM pg_inherits WHERE inhparent = to_regclass(format('%I.%I', home, parent))
      AND inhrelid = to_regclass(format('%I.%I', home, name))
  ) THEN
    RETURN 'absent';
  END IF;
  EXECUTE format('ALTER TABLE %I.%I DETACH PARTITION %I.%I', home, parent, home, name);
  RETURN 'detached';
EXCEPTION WHEN lock_not_available THEN
  RETURN 'busy';
END $$;

-- Moves what the default holds from before `low` to a table of its own: `moved`, `none` or `busy`.
CREATE FUNCTION @.partition_sweep(parent text, name text, key text, low bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  home text := rtrim('@.', '.');
  found boolean;
BEGIN
  EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I WHERE %I < %s)', home, parent || '_default', key, low) INTO found;
  IF NOT found THEN RETURN 'none'; END IF;
  IF NOT @.partition_lock(parent) THEN RETURN 'busy'; END IF;
  EXECUTE format('LOCK TABLE %I.%I IN SHARE ROW EXCLUSIVE MODE', home, parent || '_default');
  EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I)', home, name, home, parent);
  EXECUTE format('WITH gone AS (DELETE FROM %I.%I WHERE %I < %s RETURNING *) INSERT INTO %I.%I SELECT * FROM gone',
    home, parent || '_default', key, low, home, name);
  RETURN 'moved';
EXCEPTION
  WHEN lock_not_available THEN RETURN 'busy';
  -- Another instance has swept within the same second.
  WHEN duplicate_table THEN RETURN 'none';
END $$;

-- Drops a table that is no partition any more: `dropped`, `absent`, `attached` or `busy`.
CREATE FUNCTION @.partition_drop(parent text, name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  home text := rtrim('@.', '.');
BEGIN
  IF NOT @.partition_lock(parent) THEN RETURN 'busy'; END IF;
  IF NOT @.partition_exists(name) THEN
    DELETE FROM @.partition_claims AS c WHERE c.name = partition_drop.name;
    RETURN 'absent';
  END IF;
  IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(format('%I.%I', home, name))) THEN
    RETURN 'attached';
  END IF;
  EXECUTE format('DROP TABLE %I.%I', home, name);
  DELETE FROM @.partition_claims AS c WHERE c.name = partition_drop.name;
  RETURN 'dropped';
EXCEPTION WHEN lock_not_available THEN
  RETURN 'busy';
END $$;

-- `@` stands for the schema. Times are microseconds of the server's clock since 1970.
--
-- What is ready or running stands in a ring of segments, 1 to 8, and in home, 0. New jobs go into the current segment. One
-- that is not current and has become empty is truncated, which a snapshot that somebody holds open does not hinder: so what
-- it keeps vacuum from removing is no more than the ring holds.
CREATE SEQUENCE @.jobs_seq;

CREATE TABLE @.jobs (
  -- -2 dead, -1 waiting, 0 home, above the ring.
  segment smallint NOT NULL,
  id uuid NOT NULL,
  -- Taken anew whenever the job becomes ready: its age, and the epoch of the run that claims it. Of a dead one when it died.
  seq bigint NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  queue text COLLATE "C" NOT NULL,
  class smallint NOT NULL,
  kind text COLLATE "C" NOT NULL,
  payload bytea NOT NULL,
  -- What only workers read.
  details bytea,
  attempts integer NOT NULL DEFAULT 0,
  max_attempts integer NOT NULL,
  enqueued bigint NOT NULL,
  cause text,
  unique_key text COLLATE "C",
  unique_begun boolean NOT NULL DEFAULT false,
  idempotency text COLLATE "C",
  retention bigint,
  -- Who has it; null where nobody does.
  worker uuid,
  -- Waiting: when it is due. Running: when its claim is over. Dead: when it died.
  at bigint,
  cancel boolean NOT NULL DEFAULT false
) PARTITION BY LIST (segment);
CREATE UNIQUE INDEX jobs_id ON @.jobs (id, segment);

CREATE TABLE @.jobs_dead PARTITION OF @.jobs FOR VALUES IN (-2);
CREATE INDEX jobs_dead_seq ON @.jobs_dead (seq);
CREATE INDEX jobs_dead_queue ON @.jobs_dead (queue, seq);
CREATE TABLE @.jobs_waiting PARTITION OF @.jobs FOR VALUES IN (-1);
CREATE INDEX jobs_waiting_due ON @.jobs_waiting (queue, at);
DO $$
BEGIN
  FOR segment IN 0..8 LOOP
    EXECUTE format('CREATE TABLE @.jobs_%s PARTITION OF @.jobs FOR VALUES IN (%s)', segment, segment);
    EXECUTE format('CREATE INDEX jobs_%s_ready ON @.jobs_%s (queue, class, seq) WHERE worker IS NULL', segment, segment);
    EXECUTE format('CREATE INDEX jobs_%s_running ON @.jobs_%s (queue, at) WHERE worker IS NOT NULL', segment, segment);
    IF segment > 0 THEN
      EXECUTE format('ALTER TABLE @.jobs_%s SET (autovacuum_enabled = off)', segment);
    END IF;
  END LOOP;
END $$;

-- One row. `live` begins with home, goes on with the segments that may hold jobs, oldest first, and ends with the current
-- one; `left_at` says when each was left.
CREATE TABLE @.jobs_ring (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  current smallint NOT NULL,
  live smallint[] NOT NULL,
  since bigint NOT NULL,
  seq bigint NOT NULL,
  left_at bigint[] NOT NULL
) WITH (fillfactor = 10);
INSERT INTO @.jobs_ring (current, live, since, seq, left_at)
VALUES (1, '{0,1}', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, 1, array_fill(0::bigint, ARRAY[8]));

-- Unique keys that jobs hold.
CREATE TABLE @.jobs_keys (
  tenant text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  job uuid NOT NULL,
  PRIMARY KEY (tenant, key)
) WITH (fillfactor = 70);

-- Idempotency keys. `state` is that of the outcome, null where there is none yet; `body` is the result, or the cause.
CREATE TABLE @.jobs_outcomes (
  tenant text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  job uuid NOT NULL,
  content bytea NOT NULL,
  state smallint,
  body bytea,
  expires bigint,
  PRIMARY KEY (tenant, key)
);
CREATE INDEX jobs_outcomes_expires ON @.jobs_outcomes (expires) WHERE expires IS NOT NULL;

-- Adds jobs one after the other, all or none, in one statement of its caller. `answer` says: 0 added, 1 there already, 2 there
-- with other content, and nothing is added.
CREATE FUNCTION @.jobs_enqueue(
  ids uuid[], tenants text[], queues text[], classes smallint[], kinds text[], payloads bytea[], all_details bytea[],
  attempts integer[], delays bigint[], starts bigint[], unique_keys text[], begun boolean[], keys text[], retentions bigint[]
) RETURNS TABLE (place bigint, answer smallint, job uuid, state smallint, body bytea) LANGUAGE plpgsql AS $$
DECLARE
  n record;
  other record;
  moment bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
  due bigint;
  digest bytea;
  is_new boolean;
BEGIN
  FOR n IN
    SELECT * FROM unnest(ids, tenants, queues, classes, kinds, payloads, all_details, attempts, delays, starts, unique_keys,
      begun, keys, retentions) WITH ORDINALITY AS n(id, tenant, queue, class, kind, payload, details, max_attempts, delay,
      start, unique_key, unique_begun, idempotency, retention, number)
  LOOP
    place := n.number - 1;
    digest := sha256(convert_to(n.queue || chr(10) || n.kind || chr(10), 'UTF8') || n.payload);
    SELECT j.id, (j.tenant, j.queue, j.kind, j.payload) = (n.tenant, n.queue, n.kind, n.payload) AS is_same, o.state, o.body
      INTO other
      FROM @.jobs j
      LEFT JOIN @.jobs_outcomes o ON o.tenant = j.tenant AND o.key = j.idempotency AND o.job = j.id
      WHERE j.id = n.id LIMIT 1;
    -- Whoever inserts the same key at the same time waits here for the other one.
    IF other.id IS NULL AND n.idempotency IS NOT NULL THEN
      DELETE FROM @.jobs_outcomes o WHERE o.tenant = n.tenant AND o.key = n.idempotency AND o.expires <= moment;
      INSERT INTO @.jobs_outcomes (tenant, key, job, content) VALUES (n.tenant, n.idempotency, n.id, digest)
        ON CONFLICT DO NOTHING;
      IF NOT FOUND THEN
        SELECT o.job AS id, o.content = digest AS is_same, o.state, o.body INTO STRICT other
          FROM @.jobs_outcomes o WHERE o.tenant = n.tenant AND o.key = n.idempotency;
      END IF;
    END IF;
    IF other.id IS NULL AND n.unique_key IS NOT NULL THEN
      INSERT INTO @.jobs_keys VALUES (n.tenant, n.unique_key, n.id) ON CONFLICT DO NOTHING;
      IF NOT FOUND THEN
        SELECT k.job AS id, true AS is_same, NULL::smallint AS state, NULL::bytea AS body INTO STRICT other
          FROM @.jobs_keys k WHERE k.tenant = n.tenant AND k.key = n.unique_key;
        DELETE FROM @.jobs_outcomes o WHERE o.tenant = n.tenant AND o.key = n.idempotency AND o.job = n.id;
      END IF;
    END IF;
    IF other.id IS NOT NULL THEN
      answer := 1;
      job := other.id;
      state := other.state;
      body := other.body;
      IF NOT other.is_same THEN
        job := n.id;
        RAISE SQLSTATE 'AGS01';
      END IF;
      RETURN NEXT;
      CONTINUE;
    END IF;
    answer := 0;
    job := n.id;
    state := NULL;
    body := NULL;
    due := coalesce(moment + n.delay, n.start, 0);
    INSERT INTO @.jobs (segment, id, seq, tenant, queue, class, kind, payload, details, max_attempts, enqueued, unique_key,
        unique_begun, idempotency, retention, at)
      SELECT CASE WHEN due > moment THEN -1 ELSE r.current END, n.id, nextval('@.jobs_seq'), n.tenant, n.queue, n.class,
        n.kind, n.payload, n.details, n.max_attempts, moment, n.unique_key, n.unique_begun, n.idempotency, n.retention,
        CASE WHEN due > moment THEN due END
      FROM @.jobs_ring r
      ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      RAISE serialization_failure;
    END IF;
    RETURN NEXT;
  END LOOP;
EXCEPTION
  -- What came before is undone.
  WHEN SQLSTATE 'AGS01' THEN
    answer := 2;
    RETURN NEXT;
  -- A key was let go between two looks at it.
  WHEN no_data_found THEN
    RAISE serialization_failure;
END $$;

-- Turns the ring where the current segment has had so many jobs or so much time, empties one that was left, and truncates one
-- that is empty. One caller at a time does so.
CREATE FUNCTION @.jobs_tend(most_jobs bigint, most_age bigint) RETURNS smallint[] LANGUAGE plpgsql
SET enable_seqscan = on SET lock_timeout = '20ms' AS $$
DECLARE
  ring record;
  moment bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
  last bigint;
  next smallint;
  old smallint;
  jobs bigint;
  is_free boolean;
  refused integer := 0;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('@.jobs_ring', 0)) THEN
    RETURN NULL;
  END IF;
  SELECT * INTO ring FROM @.jobs_ring;
  SELECT last_value INTO last FROM @.jobs_seq;
  SELECT s INTO next FROM generate_series(1, 8) s
    WHERE s <> ALL (ring.live) ORDER BY (s - ring.current + 8) % 8 LIMIT 1;
  is_free := FOUND;
  IF is_free AND (last - ring.seq >= most_jobs OR (last > ring.seq AND moment - ring.since >= most_age)) THEN
    ring.left_at[ring.current] := moment;
    ring.current := next;
    ring.live := ring.live || next;
    UPDATE @.jobs_ring SET current = next, live = ring.live, since = moment, seq = last, left_at = ring.left_at;
  END IF;
  FOREACH old IN ARRAY ring.live LOOP
    -- A statement that began before it was left may still add to it.
    CONTINUE WHEN old = 0 OR old = ring.current OR moment - ring.left_at[old] < 1000000;
    EXECUTE format('SELECT count(*) FROM (SELECT FROM @.jobs_%s LIMIT 1001) few', old) INTO jobs;
    IF jobs > 1000 THEN
      CONTINUE;
    END IF;
    IF jobs > 0 THEN
      -- What stays long goes home.
      CONTINUE WHEN is_free AND moment - ring.left_at[old] < 10000000;
      EXECUTE format(
        'WITH gone AS (DELETE FROM @.jobs_%1$s WHERE ctid = ANY (ARRAY('
        '  SELECT ctid FROM @.jobs_%1$s FOR UPDATE SKIP LOCKED)) RETURNING *) '
        'INSERT INTO @.jobs SELECT 0::smallint, id, seq, tenant, queue, class, kind, payload, details, attempts, '
        '  max_attempts, enqueued, cause, unique_key, unique_begun, idempotency, retention, worker, at, cancel FROM gone', old);
      EXIT;
    END IF;
    BEGIN
      EXECUTE format('LOCK TABLE @.jobs_%s IN ACCESS EXCLUSIVE MODE', old);
      EXECUTE format('SELECT count(*) FROM (SELECT FROM @.jobs_%s LIMIT 1) few', old) INTO jobs;
      IF jobs = 0 THEN
        EXECUTE format('TRUNCATE @.jobs_%s', old);
        ring.live := array_remove(ring.live, old);
        UPDATE @.jobs_ring SET live = ring.live;
      END IF;
      EXIT;
    EXCEPTION WHEN lock_not_available THEN
      -- Somebody reads or writes it for long. All others wait meanwhile, so that not many are tried.
      refused := refused + 1;
      EXIT WHEN refused = 2;
    END;
  END LOOP;
  RETURN ring.live;
END $$;

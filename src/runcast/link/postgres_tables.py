"""The tables and functions of a link in PostgreSQL: what must be done in one piece, in one round trip.

`~` stands for the schema: see `postgres_schema`.

How the functions keep the promises of a link:

* A `put` reads where the log ends, and adds an entry that begins there. Entries are unique by where they
  begin, so of two writers one waits for the other, and is refused. No row is changed by it: what is only
  added leaves nothing behind for VACUUM.
* Whatever changes a run locks its row until it commits (a `put` FOR SHARE), and reads who watches it after
  that. `watch` notes that, and locks the row after that. So of the two one waits for the other: it is seen
  as watched, or what has changed is there to read when `watch` replies.
* NOTIFY takes a lock of the whole server until its transaction is written, so there is one for each host
  and transaction, and none where nobody watches; such transactions do not wait for the disk, see `append`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["DEFINITION"]

DEFINITION: Final = r"""
-- `served`: the processes that did so last; `since`: when a link first saw these.
CREATE TABLE ~.meta (version int NOT NULL, epoch text NOT NULL, served text, since timestamptz);
INSERT INTO ~.meta VALUES (1, gen_random_uuid()::text);
CREATE TABLE ~.runs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE,
  key text COLLATE "C",
  host text NOT NULL,
  request bytea NOT NULL,
  state bytea,
  progress bytea,
  outcome bytea,
  first bigint NOT NULL DEFAULT 0,
  fence int NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE TABLE ~.names (name text COLLATE "C" PRIMARY KEY, value bytea NOT NULL);
CREATE TABLE ~.entries (
  run bigint, start bigint, until bigint NOT NULL, data bytea NOT NULL, records bytea NOT NULL,
  PRIMARY KEY (run, start)
);
DO $do$ BEGIN
  ALTER TABLE ~.entries ALTER data SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN  -- a server that was built without it
  ALTER TABLE ~.entries ALTER data SET STORAGE EXTERNAL;
END $do$;
-- Entries of what was dropped or trimmed, which `sweep` removes: as many at once as take little time.
CREATE TABLE ~.gone (run bigint, before bigint, PRIMARY KEY (run, before));
INSERT INTO ~.gone VALUES (0, 0);  -- of no run: so there is a page with room, on a full disk, too
CREATE TABLE ~.hosts (host text PRIMARY KEY, until timestamptz NOT NULL, holder bytea NOT NULL);
INSERT INTO ~.hosts VALUES ('', 'infinity', '');  -- likewise
-- `outcomes`: how many this link has sent. A server that has fewer of them lost some, or was restored.
CREATE TABLE ~.links (id bigint PRIMARY KEY, outcomes bigint NOT NULL, seen timestamptz NOT NULL);
CREATE UNLOGGED TABLE ~.watches (name text COLLATE "C", link bigint, PRIMARY KEY (name, link));
CREATE INDEX ON ~.watches (link);
CREATE UNLOGGED TABLE ~.asks (
  id bigint GENERATED ALWAYS AS IDENTITY, host text, ticket text NOT NULL, request bytea NOT NULL,
  deadline timestamptz NOT NULL, PRIMARY KEY (host, id)
);
CREATE UNLOGGED TABLE ~.answers (
  link bigint, ticket text, answer bytea NOT NULL, made timestamptz NOT NULL, PRIMARY KEY (link, ticket)
);

CREATE FUNCTION ~.wake(names text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  -- Without a text all that is watched is news: it has room for 8,000 bytes.
  PERFORM pg_notify('runcast_' || link, CASE WHEN octet_length(text) < 7900 THEN text ELSE '' END)
  FROM (
    SELECT w.link, string_agg(w.name, E'\n') AS text FROM ~.watches w
    WHERE w.name = ANY(names) GROUP BY w.link
  ) AS watchers;
END $$;

CREATE FUNCTION ~.watch(link_ bigint, name_ text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ~.watches VALUES (name_, link_) ON CONFLICT DO NOTHING;
  IF name_ = '*listed' THEN
    PERFORM 1 FROM ~.meta FOR UPDATE;
    RETURN;
  END IF;
  PERFORM 1 FROM ~.runs WHERE name = name_ FOR UPDATE;
  IF NOT FOUND THEN  -- wait for a host that creates it now
    INSERT INTO ~.runs (name, host, request) VALUES (name_, '', '') ON CONFLICT DO NOTHING;
    IF FOUND THEN
      DELETE FROM ~.runs WHERE name = name_;
    END IF;
  END IF;
END $$;

CREATE FUNCTION ~.claim(name_ text, value_ bytea) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE found_ bytea;
BEGIN
  LOOP
    INSERT INTO ~.names VALUES (name_, value_) ON CONFLICT DO NOTHING;
    IF FOUND THEN
      RETURN value_;
    END IF;
    SELECT value INTO found_ FROM ~.names WHERE name = name_;
    IF FOUND THEN  -- else it was freed just now
      RETURN found_;
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION ~.create_run(name_ text, key_ text, host_ text, request_ bytea) RETURNS bytea
LANGUAGE plpgsql AS $$
DECLARE holder bytea := convert_to(name_, 'UTF8');
BEGIN
  IF key_ IS NOT NULL THEN
    holder := ~.claim(key_, holder);
    IF holder <> convert_to(name_, 'UTF8') THEN
      RETURN holder;
    END IF;
  END IF;
  INSERT INTO ~.runs (name, key, host, request) VALUES (name_, key_, host_, request_) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    PERFORM 1 FROM ~.meta FOR KEY SHARE;
    PERFORM ~.wake(ARRAY[name_, '*listed']);
  END IF;
  RETURN holder;
END $$;

CREATE FUNCTION ~.tail_of(run_ bigint, first_ bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN greatest(
    first_, (SELECT e.until FROM ~.entries e WHERE e.run = run_ ORDER BY e.start DESC LIMIT 1)
  );
END $$;

-- Puts (kind 0) and fields, in order. -1 taken, -2 no run, -3 fenced, -4 another outcome; else the tail.
-- They are in every host's files, which are looked at again after a crash of the server; so the server need
-- not write them to its disk before it replies, and NOTIFY's lock is held for no longer than that takes.
CREATE FUNCTION ~.append(
  kinds bigint[], names text[], starts bigint[], ends bigint[], pieces bytea[], indexes bytea[],
  link_ bigint, outcomes_ bigint, OUT results bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
  op record;
  found_ record;
  last text := '';
  run_ bigint;
  first_ bigint;
  fence_ int;
  ended boolean;
  tail bigint;
  result bigint;
  touched text[] := '{}';
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  results := '{}';
  FOR op IN
    SELECT * FROM unnest(kinds, names, starts, ends, pieces, indexes)
      AS o(kind, name, start, until, data, records)
  LOOP
    IF op.name <> last THEN
      SELECT id, first, fence, outcome IS NOT NULL INTO run_, first_, fence_, ended
        FROM ~.runs WHERE name = op.name FOR SHARE;
      last := op.name;
      tail := NULL;
    END IF;
    result := -1;
    IF run_ IS NULL THEN
      result := -2;
    ELSIF op.kind = 0 THEN
      tail := coalesce(tail, ~.tail_of(run_, first_));
      IF ended THEN
        result := -3;
      ELSIF tail <> op.start THEN
        result := tail;
      ELSE
        INSERT INTO ~.entries VALUES (run_, op.start, op.until, op.data, op.records) ON CONFLICT DO NOTHING;
        IF FOUND THEN
          tail := op.until;
        ELSE  -- another writer's, which this one has waited for
          tail := ~.tail_of(run_, first_);
          result := tail;
        END IF;
      END IF;
    ELSIF fence_ > 0 THEN
      result := -3;
    ELSIF op.kind = 1 THEN
      UPDATE ~.runs SET state = op.data WHERE id = run_;
    ELSIF op.kind = 2 THEN
      UPDATE ~.runs SET progress = op.data WHERE id = run_;
    ELSIF NOT ended THEN
      UPDATE ~.runs SET outcome = op.data WHERE id = run_ AND outcome IS NULL;
      ended := true;
    ELSE
      SELECT CASE WHEN outcome = op.data THEN -1 ELSE -4 END INTO result FROM ~.runs WHERE id = run_;
    END IF;
    results := results || result;
    IF result = -1 THEN
      touched := touched || op.name;
    END IF;
  END LOOP;
  IF outcomes_ IS NOT NULL THEN
    UPDATE ~.links SET outcomes = outcomes_ WHERE id = link_;
  END IF;
  PERFORM ~.wake(touched);
END $$;

-- The first row has where the log begins and ends; each other one is an entry.
CREATE FUNCTION ~.read(name_ text, offset_ bigint, limit_ bigint)
RETURNS TABLE (start bigint, until bigint, data bytea, records bytea) LANGUAGE plpgsql STABLE AS $$
DECLARE
  run_ bigint;
  first_ bigint;
  begins bigint;
  size bigint := 0;
  count_ int := 0;
BEGIN
  SELECT r.id, r.first INTO run_, first_ FROM ~.runs r WHERE r.name = name_;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  start := first_;
  until := ~.tail_of(run_, first_);
  RETURN NEXT;
  begins := coalesce(
    (SELECT e.start FROM ~.entries e WHERE e.run = run_ AND e.start <= offset_
      ORDER BY e.start DESC LIMIT 1), 0
  );
  FOR start, until, data, records IN
    SELECT e.start, e.until, e.data, e.records FROM ~.entries e
    WHERE e.run = run_ AND e.start >= greatest(begins, first_) ORDER BY e.start
  LOOP
    CONTINUE WHEN until <= offset_;
    size := size + octet_length(data);
    EXIT WHEN count_ > 0 AND size > limit_;
    count_ := count_ + 1;
    RETURN NEXT;
  END LOOP;
END $$;

CREATE FUNCTION ~.trim(name_ text, before_ bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  run_ bigint;
  first_ bigint;
  begins bigint;
BEGIN
  SELECT id, first INTO run_, first_ FROM ~.runs WHERE name = name_ FOR UPDATE;
  SELECT CASE WHEN until <= before_ THEN until ELSE start END INTO begins
    FROM ~.entries WHERE run = run_ AND start < before_ ORDER BY start DESC LIMIT 1;
  IF begins > first_ THEN
    UPDATE ~.runs SET first = begins WHERE id = run_;
    INSERT INTO ~.gone VALUES (run_, begins) ON CONFLICT DO NOTHING;
    RETURN begins;
  END IF;
  RETURN first_;
END $$;

CREATE FUNCTION ~.drop_run(name_ text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  run_ bigint;
  key_ text;
BEGIN
  DELETE FROM ~.runs WHERE name = name_ RETURNING id, key INTO run_, key_;
  IF FOUND THEN
    DELETE FROM ~.names WHERE name = key_ AND value = convert_to(name_, 'UTF8');
    INSERT INTO ~.gone VALUES (run_, 9223372036854775807) ON CONFLICT DO NOTHING;
    PERFORM 1 FROM ~.meta FOR KEY SHARE;
    PERFORM ~.wake(ARRAY[name_, '*listed']);
  END IF;
END $$;

-- Whether there may be more to remove.
CREATE FUNCTION ~.sweep(most bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  what record;
  bound bigint;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  SELECT run, before INTO what FROM ~.gone WHERE run > 0 ORDER BY run, before LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN  -- or another host is about it
    RETURN false;
  END IF;
  SELECT start INTO bound FROM ~.entries WHERE run = what.run AND start < what.before
    ORDER BY start OFFSET most LIMIT 1;
  DELETE FROM ~.entries WHERE run = what.run AND start < coalesce(bound, what.before);
  IF bound IS NULL THEN
    DELETE FROM ~.gone WHERE run = what.run AND before = what.before;
  END IF;
  RETURN true;
END $$;

CREATE FUNCTION ~.lease(host_ text, seconds float8, holder_ bytea, link_ bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ~.hosts AS h VALUES (host_, clock_timestamp() + seconds * interval '1 second', holder_)
    ON CONFLICT (host) DO UPDATE SET until = excluded.until, holder = excluded.holder
    WHERE h.until <= clock_timestamp() OR h.holder = excluded.holder;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO ~.watches VALUES ('*asks:' || host_, link_) ON CONFLICT DO NOTHING;
  DELETE FROM ~.hosts WHERE until < clock_timestamp() - interval '7 days';
  RETURN true;
END $$;

CREATE FUNCTION ~.lose(name_ text, outcome_ bytea) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  found_ record;
  until_ timestamptz;
BEGIN
  SELECT host, outcome INTO found_ FROM ~.runs WHERE name = name_ FOR UPDATE;
  IF NOT FOUND THEN
    RETURN -2;
  END IF;
  SELECT until INTO until_ FROM ~.hosts WHERE host = found_.host FOR SHARE;
  IF found_.outcome IS NOT NULL OR until_ > clock_timestamp() THEN
    RETURN -4;
  END IF;
  UPDATE ~.runs SET outcome = outcome_, fence = fence + 1 WHERE name = name_;
  PERFORM ~.wake(ARRAY[name_]);
  RETURN -1;
END $$;

CREATE FUNCTION ~.ask(host_ text, ticket_ text, request_ bytea, until_ float8) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
  IF until_ <= extract(epoch FROM clock_timestamp()) THEN
    RETURN -4;
  END IF;
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM 1 FROM ~.hosts WHERE host = host_ AND until > clock_timestamp() FOR SHARE;
  IF NOT FOUND THEN
    RETURN -2;
  END IF;
  INSERT INTO ~.asks (host, ticket, request, deadline)
    VALUES (host_, ticket_, request_, to_timestamp(until_));
  PERFORM ~.wake(ARRAY['*asks:' || host_]);
  RETURN -1;
END $$;

CREATE FUNCTION ~.take_asks(host_ text) RETURNS TABLE (ticket text, request bytea) LANGUAGE sql AS $$
  WITH taken AS (
    DELETE FROM ~.asks a WHERE a.host = host_ AND a.id IN (
      SELECT b.id FROM ~.asks b WHERE b.host = host_ ORDER BY b.id LIMIT 64 FOR UPDATE SKIP LOCKED
    ) RETURNING a.*
  )
  SELECT t.ticket, t.request FROM taken t WHERE t.deadline > clock_timestamp() ORDER BY t.id
$$;

CREATE FUNCTION ~.answer(link_ bigint, ticket_ text, answer_ bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO ~.answers VALUES (link_, ticket_, answer_, clock_timestamp()) ON CONFLICT DO NOTHING;
  PERFORM pg_notify('runcast_' || link_, '*answers');
END $$;

-- 1: these are not the tables, or not the state of them, that this link knows; 2: it does not listen;
-- 4: there is something to `sweep`.
CREATE FUNCTION ~.beat(link_ bigint, outcomes_ bigint, table_ bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE now_ timestamptz := clock_timestamp();
BEGIN
  UPDATE ~.links SET seen = now_ WHERE id = link_ AND seen < now_ - interval '20 seconds';
  IF FOUND THEN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM ~.watches WHERE link IN (SELECT id FROM ~.links WHERE seen < now_ - interval '2 minutes');
    DELETE FROM ~.links WHERE seen < now_ - interval '2 minutes';
    DELETE FROM ~.asks WHERE deadline < now_ - interval '1 minute';
    DELETE FROM ~.answers WHERE made < now_ - interval '1 minute';
  END IF;
  RETURN CASE
      WHEN to_regclass('~.runs')::oid::bigint = table_
        AND EXISTS (SELECT 1 FROM ~.links WHERE id = link_ AND outcomes >= outcomes_) THEN 0
      ELSE 1
    END
    + CASE WHEN 'runcast_' || link_ IN (SELECT pg_listening_channels()) THEN 0 ELSE 2 END
    + CASE WHEN EXISTS (SELECT 1 FROM ~.gone WHERE run > 0) THEN 4 ELSE 0 END;
END $$;
"""

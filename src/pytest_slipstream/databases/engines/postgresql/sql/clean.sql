-- The calls that finish a template, begin a slot and make it clean.
--
-- Each takes and returns a mark, which the client keeps: when the slot was last clean, where the
-- write-ahead log ended then, which transactions came later, which advisory locks wider fixtures
-- hold, and the digests of what no trigger sees.

CREATE FUNCTION _slipstream.mark(since jsonb, locks jsonb) RETURNS jsonb LANGUAGE sql AS $$
SELECT since || jsonb_build_object(
    'at', clock_timestamp(), 'database', d.oid, 'unseen', _slipstream.unseen(d.oid),
    'large_objects', _slipstream.large_objects(), 'own', pg_current_xact_id_if_assigned(),
    'locks', locks)
FROM pg_database d WHERE d.datname = current_database() $$;

-- Where the log ends and which transaction comes next. Asked before anything is read, so that what
-- is committed meanwhile shows next time. NULL where it tells nothing: the log, if a sequence is
-- unlogged; the transaction, if one that has written is still open.
CREATE FUNCTION _slipstream.since() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    wal pg_lsn := pg_current_wal_insert_lsn();
    next xid8 := pg_snapshot_xmax(pg_current_snapshot());
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE relkind = 'S' AND relpersistence = 'u') THEN
        wal := NULL;
    END IF;
    IF EXISTS (SELECT FROM pg_stat_get_activity(NULL) a JOIN pg_database d ON d.oid = a.datid
               WHERE d.datname = current_database() AND a.pid <> pg_backend_pid()
                 AND a.backend_xid IS NOT NULL)
       OR EXISTS (SELECT FROM pg_prepared_xacts WHERE database = current_database()) THEN
        next := NULL;
    END IF;
    RETURN jsonb_build_object('wal', wal, 'next', next, 'is_logged', wal IS NOT NULL);
END $$;

-- Last step of a build.
CREATE FUNCTION _slipstream.finish() RETURNS void LANGUAGE sql AS $$
SELECT _slipstream.instrument();
SELECT _slipstream.hold(0, _slipstream.worth_holding(ARRAY(SELECT relation FROM _slipstream.relation)));
INSERT INTO _slipstream.position SELECT relation, 0, last_value, is_called FROM _slipstream.sequence;
SELECT setval(relation::regclass, last_value, is_called) FROM _slipstream.sequence;
SELECT _slipstream.hold_large_objects(0);
DELETE FROM _slipstream.ddl;
DELETE FROM _slipstream.change $$;

-- First step in a new slot. Unlogged tables are empty in a template that saw a crash: their rows
-- come back from the snapshot, which is logged.
CREATE FUNCTION _slipstream.begin() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    since jsonb := _slipstream.since();
BEGIN
    DELETE FROM _slipstream.change;
    DELETE FROM _slipstream.ddl;
    INSERT INTO _slipstream.change
    SELECT h.relation FROM _slipstream.holding h JOIN pg_class c ON c.oid = h.relation
    WHERE c.relpersistence = 'u';
    -- Without a next transaction: the first clean() has these to put back.
    RETURN _slipstream.mark(since || '{"next": null}', '[]');
END $$;

-- Whether every transaction from `first` to before `next`, in any database, was rolled back, but
-- the cleaning session's `own`. One that is not over counts as not rolled back.
CREATE FUNCTION _slipstream.all_rolled_back(first bigint, next bigint, own bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RETURN coalesce(next - first <= 1000, false) AND NOT EXISTS (
        SELECT FROM generate_series(first, next - 1) n
        WHERE n <> own AND pg_xact_status(n::text::xid8) IS DISTINCT FROM 'aborted');
END $$;

-- Returns why that is not enough, or NULL.
CREATE FUNCTION _slipstream.put_back_sequences() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    reason text;
    t record;
BEGIN
    FOR t IN SELECT m.relation, s.name, s.caches, s.last_value, s.is_called
             FROM _slipstream.moved() m JOIN _slipstream.sequence s ON s.relation = m.relation LOOP
        PERFORM setval(t.relation::regclass, t.last_value, t.is_called);
        IF t.caches THEN
            reason := format('the sequence %s moved, and sessions cache its values', t.name);
        END IF;
    END LOOP;
    RETURN reason;
END $$;

-- The mark after cleaning; asked for last, since it holds the transaction that put things back.
CREATE FUNCTION _slipstream.reached(mark jsonb, wal pg_lsn, next xid8) RETURNS jsonb
LANGUAGE sql AS $$
SELECT mark || jsonb_build_object(
    'at', clock_timestamp(), 'wal', CASE WHEN (mark->>'is_logged')::boolean THEN wal END,
    'next', next, 'own', pg_current_xact_id_if_assigned(),
    'turn', coalesce((mark->>'turn')::int, 0) + 1) $$;

CREATE FUNCTION _slipstream.clean(mark jsonb, everyone boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    since timestamptz := CASE WHEN everyone THEN '-infinity' ELSE (mark->>'at')::timestamptz END;
    leftovers jsonb := '[]';
    running int;
    awake int;
    touched oid[];
    concerned oid[];
    temporary int[];
    ddl text[];
    refreshed oid[];
    reason text;
    measures boolean := coalesce((mark->>'turn')::int, 0) % 8 = 0;  -- files: each a system call
    grown text[] := '{}';
    names text[] := '{}';
    altered oid[];
    wal pg_lsn := pg_current_wal_insert_lsn();
    next xid8 := pg_snapshot_xmax(pg_current_snapshot());
    t record;
BEGIN
    -- pg_locks is dear: it is read only if another session did something, but for giving up all
    -- advisory locks, with which a test's connection ends a turn of `rollback`.
    SELECT count(*) FILTER (WHERE xact_start > since),
           count(*) FILTER (WHERE state_change IS NULL OR state_change > since AND NOT (
               state = 'idle' AND query = 'ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all()')),
           CASE WHEN count(backend_xid) = 0 THEN next END
    INTO running, awake, next
    FROM pg_stat_get_activity(NULL)
    WHERE datid = (mark->>'database')::oid AND pid <> pg_backend_pid();
    IF running > 0 THEN
        leftovers := _slipstream.end_transactions(since);
    END IF;
    IF awake > 0 AND EXISTS (
        SELECT FROM pg_lock_status() l
        WHERE l.locktype = 'advisory' AND l.database = (mark->>'database')::oid
          AND l.pid <> pg_backend_pid()
    ) THEN
        leftovers := leftovers || _slipstream.end_lock_holders(since, mark->'locks');
    END IF;

    -- Where nothing was logged, nothing was written: every commit of a change is, every DDL, and the
    -- first nextval() after a setval(), by which every sequence here was last moved.
    IF (mark->>'wal')::pg_lsn = wal AND leftovers = '[]' THEN
        RETURN jsonb_build_object('mark', jsonb_set(mark, '{at}', to_jsonb(clock_timestamp())));
    END IF;

    -- Where all was rolled back, only sequences stand elsewhere. Transactions that had begun by
    -- `next` are over: there is none if one that has written was open then. Most often the last one
    -- of a test tells that not all was.
    IF leftovers = '[]'
       AND pg_xact_status((next::text::bigint - 1)::text::xid8) IS DISTINCT FROM 'committed'
       AND _slipstream.all_rolled_back(
        (mark->>'next')::bigint, next::text::bigint, coalesce((mark->>'own')::bigint, 0)
    ) THEN
        RETURN jsonb_build_object('cannot', _slipstream.put_back_sequences(), 'mark',
            _slipstream.reached(mark, wal, next));
    END IF;

    WITH gone AS (DELETE FROM _slipstream.change RETURNING *)
    SELECT array_agg(DISTINCT relation), array_agg(DISTINCT relation) FILTER (WHERE g.altered)
    INTO touched, altered FROM gone g;
    IF EXISTS (SELECT FROM _slipstream.ddl) THEN
        WITH gone AS (DELETE FROM _slipstream.ddl RETURNING *)
        SELECT array_agg(DISTINCT pid) FILTER (
                   WHERE g.temporary AND EXISTS (SELECT FROM pg_class WHERE oid = objid)),
               array_agg(rtrim(tag || ' ' || object)) FILTER (
                   WHERE NOT g.temporary AND tag <> 'REFRESH MATERIALIZED VIEW'
                     AND NOT _slipstream.only_restarts(tag, objid)),
               array_agg(DISTINCT objid) FILTER (WHERE tag = 'REFRESH MATERIALIZED VIEW')
        INTO temporary, ddl, refreshed FROM gone g;
        leftovers := leftovers || _slipstream.end_sessions(temporary, 'temporary table');
    END IF;

    IF ddl IS NOT NULL THEN
        reason := ddl[1];
        names := ARRAY(SELECT name FROM _slipstream.relation WHERE relation = ANY (touched) ORDER BY name);
    ELSIF mark->>'unseen' <> _slipstream.unseen((mark->>'database')::oid) THEN
        reason := 'an event trigger, or a setting or right of the database itself, was changed';
    END IF;
    IF reason IS NOT NULL THEN
        RETURN jsonb_build_object('tables', names, 'ddl', coalesce(ddl, '{}'),
                                  'leftovers', leftovers, 'cannot', reason);
    END IF;

    IF touched IS NOT NULL THEN
        concerned := touched || _slipstream.stored(touched);
        altered := CASE WHEN mark->>'next' IS NULL THEN concerned
                        WHEN altered IS NOT NULL
                        THEN altered || _slipstream.stored(altered) END;
        FOR t IN
            SELECT r.*, r.relation = ANY (touched) AS named, h.layer, h.rows
            FROM _slipstream.relation r LEFT JOIN LATERAL (
                SELECT layer, rows FROM _slipstream.holding
                WHERE holding.relation = r.relation ORDER BY layer DESC LIMIT 1) h ON true
            WHERE r.relation = ANY (concerned) ORDER BY r.name
        LOOP
            IF t.named THEN
                names := names || t.name;
            END IF;
            IF t.obstacle IS NOT NULL THEN
                reason := format('%s was written to: %s', t.name, t.obstacle);
            ELSIF t.relation = ANY (t.members) THEN
                IF coalesce(t.rows, 0) > 0 AND t.relation <> ALL (coalesce(altered, '{}')) THEN
                    -- Rows were only added: by later transactions than those that made it clean.
                    PERFORM _slipstream.delete_rows(t.relation, (mark->>'next')::xid8::xid,
                                                    coalesce(mark->>'own', '0')::xid8::xid);
                ELSIF coalesce(t.rows, 0) > 0 THEN
                    PERFORM _slipstream.restore(t.relation, t.target, t.columns, t.key, t.layer, t.rows);
                ELSE
                    PERFORM _slipstream.delete_rows(t.relation, NULL, NULL);
                END IF;
                IF measures AND (pg_relation_size(t.relation) > t.size_limit
                                 OR pg_relation_size(t.toast) > t.size_limit) THEN
                    grown := grown || t.target;
                END IF;
            END IF;
        END LOOP;
        IF measures AND pg_relation_size('_slipstream.change') > 32768 THEN
            grown := grown || ARRAY['_slipstream.change', '_slipstream.ddl'];
        END IF;
    END IF;

    reason := coalesce(_slipstream.put_back_sequences(), reason);

    IF mark->>'large_objects' <> _slipstream.large_objects()
       OR 'pg_largeobject'::regclass = ANY (touched) THEN
        PERFORM _slipstream.restore_large_objects();
        mark := jsonb_set(mark, '{large_objects}', to_jsonb(_slipstream.large_objects()));
        grown := grown || ARRAY(
            SELECT target FROM _slipstream.relation
            WHERE relation = 'pg_largeobject'::regclass AND pg_relation_size(relation) > size_limit);
    END IF;
    IF refreshed IS NOT NULL THEN
        PERFORM _slipstream.refresh_materialized(refreshed);
    END IF;
    RETURN jsonb_build_object(
        'tables', names, 'leftovers', leftovers, 'cannot', reason, 'grown', grown,
        'mark', _slipstream.reached(mark, wal, next));
END $$;

CREATE FUNCTION _slipstream.vacuumed(targets text[]) RETURNS void LANGUAGE sql AS $$
UPDATE _slipstream.relation SET size_limit = 65536 + 2 * greatest(
    pg_relation_size(relation), pg_relation_size(toast))
WHERE target = ANY (targets) $$;

CREATE FUNCTION _slipstream.touched() RETURNS SETOF text LANGUAGE sql STABLE AS $$
SELECT name FROM _slipstream.relation
WHERE relation IN (SELECT relation FROM _slipstream.change) ORDER BY name $$;

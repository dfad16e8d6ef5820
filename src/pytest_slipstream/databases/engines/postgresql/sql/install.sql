-- Slipstream's own objects in a template and in every slot made from it.
--
-- The invariant: whatever a session commits leaves a row in slipstream.change or slipstream.ddl,
-- moves a sequence, or alters what slipstream.unseen() and slipstream.large_objects() digest.
-- Cleaning looks at these four and at nothing else.
--
-- Layer 0 is the template. Rows are kept as the text of the whole row: text depends on no type and
-- no table, so that a test's DROP TYPE meets no dependency of ours. Only the two tables that record
-- changes are unlogged: a crash empties unlogged tables, and snapshots must survive it.

CREATE SCHEMA slipstream;

CREATE UNLOGGED TABLE slipstream.change (relation oid NOT NULL);

CREATE UNLOGGED TABLE slipstream.ddl (
    tag text NOT NULL, object text NOT NULL, objid oid NOT NULL, pid int NOT NULL,
    temporary boolean NOT NULL
);

CREATE TABLE slipstream.relation (
    relation oid PRIMARY KEY,
    name text NOT NULL,             -- as reported
    target text NOT NULL,           -- as quoted in SQL
    members oid[] NOT NULL,         -- itself and its descendants, those that store rows
    columns text[] NOT NULL,        -- quoted, without generated ones
    key text,                       -- a text expression over the primary key
    obstacle text,                  -- why it cannot be put back exactly
    size_limit bigint NOT NULL      -- bytes; beyond it, VACUUM
);

CREATE TABLE slipstream.holding (
    relation oid, layer int, rows bigint NOT NULL, PRIMARY KEY (relation, layer)
);

CREATE TABLE slipstream.snapshot (
    relation oid, layer int, number bigint, key text, content text NOT NULL,
    PRIMARY KEY (relation, layer, number)
);

CREATE TABLE slipstream.sequence (
    relation oid PRIMARY KEY, name text NOT NULL, definition text NOT NULL,
    caches boolean NOT NULL, last_value bigint NOT NULL, is_called boolean NOT NULL
);

CREATE TABLE slipstream.position (
    relation oid, layer int, last_value bigint NOT NULL, is_called boolean NOT NULL,
    PRIMARY KEY (relation, layer)
);

CREATE TABLE slipstream.materialized (
    relation oid PRIMARY KEY, target text NOT NULL, populated boolean NOT NULL,
    digest text NOT NULL
);

CREATE TABLE slipstream.large_object (
    layer int, loid oid, owner oid NOT NULL, granted boolean NOT NULL, content bytea NOT NULL,
    PRIMARY KEY (layer, loid)
);


-- Recording ---------------------------------------------------------------------------------------

-- Appends and never reads: two transactions must neither wait for each other here nor, when they
-- are serializable, fail because of each other.
CREATE FUNCTION slipstream.note_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO slipstream.change VALUES (TG_RELID);
    RETURN NULL;
END $$;

CREATE FUNCTION slipstream.note_ddl() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('slipstream.cleaning', true) = 'on' OR TG_TAG = 'REINDEX' THEN
        RETURN;
    END IF;
    -- These two name no object, yet change owners and rights.
    IF TG_TAG IN ('DROP OWNED', 'REASSIGN OWNED') THEN
        INSERT INTO slipstream.ddl VALUES (TG_TAG, '', 0, pg_backend_pid(), false);
    END IF;
    INSERT INTO slipstream.ddl
    SELECT command_tag, coalesce(object_identity, object_type), coalesce(objid, 0),
           pg_backend_pid(), coalesce(schema_name LIKE 'pg\_temp%', false)
    FROM pg_event_trigger_ddl_commands();
END $$;

CREATE FUNCTION slipstream.note_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('slipstream.cleaning', true) = 'on' THEN
        RETURN;
    END IF;
    INSERT INTO slipstream.ddl
    SELECT TG_TAG, object_identity, objid, pg_backend_pid(), is_temporary
    FROM pg_event_trigger_dropped_objects() WHERE original;
END $$;

CREATE EVENT TRIGGER slipstream_ddl ON ddl_command_end EXECUTE FUNCTION slipstream.note_ddl();
ALTER EVENT TRIGGER slipstream_ddl ENABLE ALWAYS;
CREATE EVENT TRIGGER slipstream_drop ON sql_drop EXECUTE FUNCTION slipstream.note_drop();
ALTER EVENT TRIGGER slipstream_drop ENABLE ALWAYS;

-- What is committed without a trigger or an event trigger: event triggers themselves, and the
-- database's own owner, rights and settings.
CREATE FUNCTION slipstream.unseen() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT concat_ws('|', d.datdba, d.datacl, d.datconnlimit,
            (SELECT string_agg(concat_ws(' ', oid, xmin), ',' ORDER BY oid) FROM pg_event_trigger),
            (SELECT string_agg(concat_ws(' ', setrole, setconfig), ',' ORDER BY setrole)
             FROM pg_db_role_setting WHERE setdatabase = d.oid))
        FROM pg_database d WHERE d.datname = current_database());
END $$;

-- A digest by row versions, not by content: any write makes a new version. '' when there are none.
CREATE FUNCTION slipstream.large_objects() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_largeobject_metadata) THEN
        RETURN '';
    END IF;
    RETURN (
        SELECT md5(string_agg(concat_ws(' ', oid, xmin), ',' ORDER BY oid))
        FROM pg_largeobject_metadata
    ) || (
        SELECT coalesce(md5(string_agg(concat_ws(' ', loid, pageno, xmin, ctid), ','
                                       ORDER BY loid, pageno)), '')
        FROM pg_largeobject);
END $$;


-- What there is -----------------------------------------------------------------------------------

CREATE VIEW slipstream.storing AS
SELECT c.oid AS relation, c.relkind, c.relpersistence, n.nspname, c.relname,
       format('%I.%I', n.nspname, c.relname) AS target
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'slipstream')
  AND n.nspname NOT LIKE 'pg\_toast%';

CREATE FUNCTION slipstream.obstacle(asked oid, kind "char") RETURNS text LANGUAGE sql STABLE AS $$
SELECT CASE
    WHEN kind = 'f' THEN 'it is a foreign table, whose rows lie elsewhere'
    WHEN EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = asked
                 AND deptype = 'e') THEN 'it belongs to an extension'
    WHEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = asked AND tgenabled IN ('A', 'R')
                 AND tgname <> 'slipstream_change')
        THEN 'it has a trigger that is enabled ALWAYS or REPLICA'
    WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = asked AND ev_enabled IN ('A', 'R'))
        THEN 'it has a rule that is enabled ALWAYS or REPLICA'
END $$;

CREATE FUNCTION slipstream.members(asked oid) RETURNS oid[] LANGUAGE sql STABLE AS $$
WITH RECURSIVE descendant AS (
    SELECT asked AS relation
    UNION
    SELECT i.inhrelid FROM descendant d JOIN pg_inherits i ON i.inhparent = d.relation
)
SELECT coalesce(array_agg(d.relation), '{}')
FROM descendant d JOIN pg_class c ON c.oid = d.relation WHERE c.relkind <> 'p' $$;

-- Describes every table anew and gives each the trigger that it may not have yet.
CREATE FUNCTION slipstream.instrument() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
    truncate text;
BEGIN
    DELETE FROM slipstream.relation;
    FOR t IN SELECT * FROM slipstream.storing ORDER BY relation LOOP
        IF NOT EXISTS (SELECT FROM pg_trigger
                       WHERE tgrelid = t.relation AND tgname = 'slipstream_change') THEN
            truncate := CASE WHEN t.relkind = 'f' AND current_setting('server_version_num')::int
                             < 160000 THEN '' ELSE ' OR TRUNCATE' END;
            EXECUTE format(
                'CREATE TRIGGER slipstream_change AFTER INSERT OR UPDATE OR DELETE%s ON %s '
                'FOR EACH STATEMENT WHEN (current_setting(''slipstream.cleaning'', true) '
                'IS DISTINCT FROM ''on'') EXECUTE FUNCTION slipstream.note_change()',
                truncate, t.target);
            EXECUTE format(CASE WHEN t.relkind = 'f'
                THEN 'ALTER FOREIGN TABLE %s ENABLE ALWAYS TRIGGER slipstream_change'
                ELSE 'ALTER TABLE %s ENABLE ALWAYS TRIGGER slipstream_change' END, t.target);
        END IF;
    END LOOP;
    INSERT INTO slipstream.relation
    SELECT s.relation, s.nspname || '.' || s.relname, s.target, slipstream.members(s.relation),
           coalesce((SELECT array_agg(quote_ident(attname) ORDER BY attnum) FROM pg_attribute
                     WHERE attrelid = s.relation AND attnum > 0 AND NOT attisdropped
                       AND attgenerated = ''), '{}'),
           (SELECT format('ROW(%s)::text', string_agg(format('t.%I', a.attname), ',' ORDER BY a.attnum))
            FROM pg_index i JOIN pg_attribute a
                 ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::smallint[])
            WHERE i.indrelid = s.relation AND i.indisprimary HAVING count(*) > 0),
           slipstream.obstacle(s.relation, s.relkind),
           pg_table_size(s.relation) + 65536
    FROM slipstream.storing s;
    -- Tables outside of any schema of the user's that cleaning makes dead rows in.
    INSERT INTO slipstream.relation
    SELECT oid, oid::regclass::text, oid::regclass::text, '{}', '{}', NULL, NULL,
           pg_table_size(oid) + 32768
    FROM unnest(ARRAY['slipstream.change', 'slipstream.ddl', 'slipstream.snapshot',
                      'slipstream.sequence', 'pg_catalog.pg_largeobject']::regclass[]) AS oid;
    PERFORM slipstream.instrument_sequences();
    PERFORM slipstream.instrument_materialized();
END $$;

CREATE FUNCTION slipstream.definition(asked oid) RETURNS text LANGUAGE sql STABLE AS $$
SELECT concat_ws(' ', s::text, c.relname, c.relnamespace, c.relowner, c.relacl, c.relpersistence,
    (SELECT string_agg(concat_ws(':', refobjid, refobjsubid, deptype), ',' ORDER BY refobjid)
     FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = asked))
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid WHERE s.seqrelid = asked $$;

-- Makes slipstream.moved(): the sequences that stand elsewhere than recorded, and where.
-- Before PostgreSQL 18 no function reads a sequence exactly and fast: pg_sequence_last_value()
-- does not see setval(…, false). So every sequence is a branch of one statement, planned once.
CREATE FUNCTION slipstream.instrument_sequences() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s record;
    reading text;
BEGIN
    DELETE FROM slipstream.sequence;
    FOR s IN
        SELECT c.oid, n.nspname, c.relname, q.seqcache > 1 AS caches
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_sequence q ON q.seqrelid = c.oid
        WHERE c.relpersistence <> 't' AND n.nspname <> 'slipstream' ORDER BY c.oid
    LOOP
        EXECUTE format(
            'INSERT INTO slipstream.sequence SELECT $1, $2, $3, $4, last_value, is_called FROM %I.%I',
            s.nspname, s.relname)
        USING s.oid, s.nspname || '.' || s.relname, slipstream.definition(s.oid), s.caches;
    END LOOP;
    IF current_setting('server_version_num')::int >= 180000 THEN
        reading := 'SELECT s.relation, p.last_value, p.is_called '
                   'FROM slipstream.sequence s, LATERAL pg_get_sequence_data(s.relation) p '
                   'WHERE p.last_value <> s.last_value OR p.is_called <> s.is_called';
    ELSE
        SELECT format('SELECT s.relation, p.last_value, p.is_called FROM (%s) p '
                      'JOIN slipstream.sequence s ON s.relation = p.relation '
                      'WHERE p.last_value <> s.last_value OR p.is_called <> s.is_called',
                      string_agg(format('SELECT %s::oid AS relation, last_value, is_called FROM %s',
                                        relation, relation::regclass), ' UNION ALL '))
        INTO reading FROM slipstream.sequence;
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION slipstream.moved() '
        'RETURNS TABLE (relation oid, last_value bigint, is_called boolean) LANGUAGE plpgsql AS %L',
        format('#variable_conflict use_column %s BEGIN %s; END', E'\n',
               CASE WHEN EXISTS (SELECT FROM slipstream.sequence)
                    THEN 'RETURN QUERY ' || reading ELSE 'RETURN' END));
END $$;

CREATE FUNCTION slipstream.digest_of(target text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    digest text;
BEGIN
    EXECUTE format('SELECT md5(string_agg(md5(t::text), '','' ORDER BY md5(t::text))) FROM %s t',
                   target) INTO digest;
    RETURN coalesce(digest, '');
END $$;

CREATE FUNCTION slipstream.instrument_materialized() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM slipstream.materialized;
    INSERT INTO slipstream.materialized
    SELECT m.oid, m.target, m.relispopulated,
           CASE WHEN m.relispopulated THEN slipstream.digest_of(m.target) ELSE '' END
    FROM (SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS target, c.relispopulated
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE c.relkind = 'm') m;
END $$;


-- Keeping rows ------------------------------------------------------------------------------------

-- Takes all rows of the given tables into a layer. A table whose rows do not survive the way
-- through text byte by byte gets an obstacle.
CREATE FUNCTION slipstream.hold(into_layer int, relations oid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
    taken bigint;
    exact boolean;
BEGIN
    FOR t IN SELECT * FROM slipstream.relation
             WHERE relation = ANY (relations) AND obstacle IS NULL LOOP
        EXECUTE format(
            'INSERT INTO slipstream.snapshot '
            'SELECT $1, $2, row_number() OVER (), %s, t::text FROM ONLY %s t',
            coalesce(t.key, 'NULL'), t.target) USING t.relation, into_layer;
        GET DIAGNOSTICS taken = ROW_COUNT;
        INSERT INTO slipstream.holding VALUES (t.relation, into_layer, taken);
        EXECUTE format('SELECT coalesce(bool_and(t::text::%1$s *= t.*), true) FROM ONLY %1$s t',
                       t.target) INTO exact;
        IF NOT exact THEN
            UPDATE slipstream.relation SET obstacle = 'its rows do not survive conversion to text'
            WHERE relation = t.relation;
        END IF;
    END LOOP;
END $$;

-- The stored tables among those given that have rows now, or that a layer holds already.
CREATE FUNCTION slipstream.worth_holding(relations oid[]) RETURNS oid[] LANGUAGE plpgsql AS $$
DECLARE
    t record;
    filled boolean;
    found oid[] := '{}';
BEGIN
    FOR t IN SELECT r.relation, r.target,
                    EXISTS (SELECT FROM slipstream.holding h WHERE h.relation = r.relation) AS held
             FROM slipstream.relation r
             WHERE r.relation = ANY (relations) AND r.relation = ANY (r.members)
               AND r.obstacle IS NULL LOOP
        filled := t.held;
        IF NOT filled THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', t.target) INTO filled;
        END IF;
        IF filled THEN
            found := found || t.relation;
        END IF;
    END LOOP;
    RETURN found;
END $$;

CREATE FUNCTION slipstream.hold_large_objects(into_layer int) RETURNS void LANGUAGE sql AS $$
INSERT INTO slipstream.large_object
SELECT into_layer, oid, lomowner, lomacl IS NOT NULL, lo_get(oid) FROM pg_largeobject_metadata;
INSERT INTO slipstream.holding
SELECT 'pg_largeobject'::regclass, into_layer, count(*) FROM pg_largeobject_metadata $$;

CREATE FUNCTION slipstream.stored(relations oid[]) RETURNS oid[] LANGUAGE sql STABLE AS $$
SELECT coalesce(array_agg(DISTINCT m), '{}')
FROM slipstream.relation r, unnest(r.members) m WHERE r.relation = ANY (relations) $$;


-- Putting back ------------------------------------------------------------------------------------

-- Where the rows of a table that layers hold must come from: the topmost layer.
CREATE FUNCTION slipstream.restore(relation oid, target text, columns text[], key text, held_in int,
                                   rows bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    source text := 'SELECT $1, $2';
    missing text := '';
BEGIN
    -- A large table that has a primary key, so that no row is there twice: only the difference.
    IF rows > 50 AND key IS NOT NULL THEN
        EXECUTE format(
            'DELETE FROM ONLY %s t WHERE NOT EXISTS (SELECT FROM slipstream.snapshot s '
            'WHERE s.relation = $1 AND s.layer = $2 AND s.content = t::text)', target)
        USING relation, held_in;
        missing := format('AND NOT EXISTS (SELECT FROM ONLY %s t WHERE t::text = s.content) ',
                          target);
    ELSE
        EXECUTE format('DELETE FROM ONLY %s', target);
    END IF;
    -- OFFSET 0 keeps the conversion from being done again for each column.
    EXECUTE format(
        'INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM ('
        'SELECT s.content::%1$s AS r FROM slipstream.snapshot s '
        'WHERE s.relation = $1 AND s.layer = $2 %4$sORDER BY s.number OFFSET 0) q',
        target, array_to_string(columns, ', '),
        (SELECT string_agg('(q.r).' || c, ', ' ORDER BY i) FROM unnest(columns) WITH ORDINALITY u(c, i)),
        missing)
    USING relation, held_in;
END $$;

CREATE FUNCTION slipstream.restore_large_objects() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    top int := (SELECT max(layer) FROM slipstream.holding
                WHERE relation = 'pg_largeobject'::regclass);
BEGIN
    PERFORM lo_unlink(m.oid) FROM pg_largeobject_metadata m
    WHERE NOT EXISTS (SELECT FROM slipstream.large_object h
                      WHERE h.layer = top AND h.loid = m.oid AND h.content = lo_get(m.oid));
    IF EXISTS (SELECT FROM slipstream.large_object h
               WHERE h.layer = top AND (h.granted OR h.owner <> current_user::regrole)
                 AND NOT EXISTS (SELECT FROM pg_largeobject_metadata m WHERE m.oid = h.loid)) THEN
        RAISE 'a large object with rights or an owner of its own was changed';
    END IF;
    PERFORM lo_from_bytea(h.loid, h.content) FROM slipstream.large_object h
    WHERE h.layer = top
      AND NOT EXISTS (SELECT FROM pg_largeobject_metadata m WHERE m.oid = h.loid);
END $$;

CREATE FUNCTION slipstream.refresh_materialized(refreshed oid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    m record;
BEGIN
    FOR m IN SELECT * FROM slipstream.materialized WHERE relation = ANY (refreshed)
             ORDER BY relation LOOP
        EXECUTE format('REFRESH MATERIALIZED VIEW %s%s', m.target,
                       CASE WHEN m.populated THEN '' ELSE ' WITH NO DATA' END);
        IF m.populated AND slipstream.digest_of(m.target) <> m.digest THEN
            RAISE 'the materialized view % holds other rows than a refresh gives', m.target;
        END IF;
    END LOOP;
END $$;


-- Leftovers ---------------------------------------------------------------------------------------

CREATE FUNCTION slipstream.end_session(ended int, what text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    found jsonb;
BEGIN
    SELECT jsonb_build_object('kind', what, 'detail', format(
        'pid %s%s%s, %s; last statement: %s', a.pid,
        coalesce(', application ' || nullif(a.application_name, ''), ''),
        coalesce(', user ' || a.usename, ''), a.state,
        left(regexp_replace(a.query, '\s+', ' ', 'g'), 200)))
    INTO found FROM pg_stat_activity a WHERE a.pid = ended;
    PERFORM pg_terminate_backend(ended, 5000);
    RETURN found;
END $$;

-- Ends transactions that began after `since`, after a moment in which they may end by themselves:
-- 10 ms for one that waits for its client, 250 ms for one that executes a statement.
CREATE FUNCTION slipstream.end_transactions(since timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    working int;
    present int;
    start timestamptz;
    ended jsonb := '[]';
BEGIN
    LOOP
        SELECT count(*), count(*) FILTER (WHERE state = 'active') INTO present, working
        FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
          AND a.xact_start > since AND a.backend_type = 'client backend';
        IF present = 0 THEN
            RETURN ended;
        END IF;
        start := coalesce(start, clock_timestamp());
        EXIT WHEN clock_timestamp() - start
                  > CASE WHEN working > 0 THEN interval '250 ms' ELSE interval '10 ms' END;
        PERFORM pg_sleep(0.002), pg_stat_clear_snapshot();
    END LOOP;
    SELECT jsonb_agg(slipstream.end_session(a.pid, 'transaction')) INTO ended
    FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
      AND a.xact_start > since AND a.backend_type = 'client backend';
    RETURN coalesce(ended, '[]');
END $$;

CREATE FUNCTION slipstream.advisory_locks() RETURNS TABLE (pid int, lock text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT l.pid, concat_ws(':', l.pid, l.classid, l.objid, l.objsubid, l.mode)
    FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid()
      AND d.datname = current_database();
END $$;

CREATE FUNCTION slipstream.end_lock_holders(since timestamptz, kept jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_agg(slipstream.end_session(h.pid, 'advisory lock')), '[]')
        FROM (SELECT DISTINCT l.pid FROM slipstream.advisory_locks() l
              LEFT JOIN pg_stat_activity a ON a.pid = l.pid
              WHERE NOT kept ? l.lock AND (a.xact_start IS NULL OR a.xact_start > since)) h);
END $$;

CREATE FUNCTION slipstream.has_sessions() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid());
END $$;


-- The calls ---------------------------------------------------------------------------------------
-- Each takes and returns a mark, which the client keeps: when the slot was last clean, which
-- advisory locks wider fixtures hold, and the digests of what no trigger sees.

CREATE FUNCTION slipstream.mark() RETURNS jsonb LANGUAGE sql AS $$
SELECT jsonb_build_object(
    'at', clock_timestamp(), 'unseen', slipstream.unseen(),
    'large_objects', slipstream.large_objects(),
    'locks', (SELECT coalesce(jsonb_agg(lock), '[]') FROM slipstream.advisory_locks())) $$;

-- Last step of a build.
CREATE FUNCTION slipstream.finish() RETURNS void LANGUAGE sql AS $$
SELECT slipstream.instrument();
SELECT slipstream.hold(0, slipstream.worth_holding(ARRAY(SELECT relation FROM slipstream.relation)));
INSERT INTO slipstream.position SELECT relation, 0, last_value, is_called FROM slipstream.sequence;
SELECT slipstream.hold_large_objects(0);
DELETE FROM slipstream.ddl;
DELETE FROM slipstream.change $$;

-- First step in a new slot. Unlogged tables are empty in a template that saw a crash: their rows
-- come back from the snapshot, which is logged.
CREATE FUNCTION slipstream.begin() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM slipstream.change;
    DELETE FROM slipstream.ddl;
    INSERT INTO slipstream.change
    SELECT h.relation FROM slipstream.holding h JOIN pg_class c ON c.oid = h.relation
    WHERE c.relpersistence = 'u';
    RETURN slipstream.mark();
END $$;

CREATE FUNCTION slipstream.clean(mark jsonb, everyone boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    since timestamptz := CASE WHEN everyone THEN '-infinity' ELSE (mark->>'at')::timestamptz END;
    leftovers jsonb := '[]';
    touched oid[];
    temporary int[];
    ddl text[];
    refreshed oid[];
    reason text;
    grown text[] := '{}';
    names text[] := '{}';
    t record;
BEGIN
    IF slipstream.has_sessions() THEN
        leftovers := slipstream.end_transactions(since)
                     || slipstream.end_lock_holders(since, mark->'locks');
    END IF;

    WITH gone AS (DELETE FROM slipstream.change RETURNING relation)
    SELECT array_agg(DISTINCT relation) INTO touched FROM gone;
    WITH gone AS (DELETE FROM slipstream.ddl RETURNING *)
    SELECT array_agg(DISTINCT pid) FILTER (
               WHERE g.temporary AND EXISTS (SELECT FROM pg_class WHERE oid = objid)),
           array_agg(rtrim(tag || ' ' || object)) FILTER (
               WHERE NOT g.temporary AND tag <> 'REFRESH MATERIALIZED VIEW'
                 AND NOT (tag = 'ALTER SEQUENCE' AND EXISTS (
                     SELECT FROM slipstream.sequence s
                     WHERE s.relation = objid AND s.definition = slipstream.definition(objid)))),
           array_agg(DISTINCT objid) FILTER (WHERE tag = 'REFRESH MATERIALIZED VIEW')
    INTO temporary, ddl, refreshed FROM gone g;
    IF temporary IS NOT NULL THEN
        SELECT leftovers || coalesce(jsonb_agg(slipstream.end_session(a.pid, 'temporary table')), '[]')
        INTO leftovers FROM pg_stat_activity a WHERE a.pid = ANY (temporary);
    END IF;

    IF ddl IS NOT NULL THEN
        reason := ddl[1];
        names := ARRAY(SELECT name FROM slipstream.relation WHERE relation = ANY (touched) ORDER BY name);
    ELSIF mark->>'unseen' IS DISTINCT FROM slipstream.unseen() THEN
        reason := 'an event trigger, or a setting or right of the database itself, was changed';
    END IF;
    IF reason IS NOT NULL THEN
        RETURN jsonb_build_object('tables', names, 'ddl', coalesce(ddl, '{}'),
                                  'leftovers', leftovers, 'cannot', reason);
    END IF;

    IF touched IS NOT NULL THEN
        FOR t IN
            SELECT r.*, r.relation = ANY (touched) AS named, h.layer, h.rows
            FROM slipstream.relation r LEFT JOIN LATERAL (
                SELECT layer, rows FROM slipstream.holding
                WHERE holding.relation = r.relation ORDER BY layer DESC LIMIT 1) h ON true
            WHERE r.relation = ANY (touched) OR r.relation = ANY (slipstream.stored(touched))
            ORDER BY r.name
        LOOP
            IF t.named THEN
                names := names || t.name;
            END IF;
            IF t.obstacle IS NOT NULL THEN
                reason := format('%s was written to: %s', t.name, t.obstacle);
            ELSIF t.relation = ANY (t.members) THEN
                IF coalesce(t.rows, 0) > 0 THEN
                    PERFORM slipstream.restore(t.relation, t.target, t.columns, t.key, t.layer, t.rows);
                ELSE
                    EXECUTE 'DELETE FROM ONLY ' || t.target;
                END IF;
                IF pg_table_size(t.relation) > t.size_limit THEN
                    grown := grown || t.target;
                END IF;
            END IF;
        END LOOP;
        IF pg_relation_size('slipstream.change') > 32768 THEN
            grown := grown || ARRAY['slipstream.change', 'slipstream.ddl'];
        END IF;
    END IF;

    FOR t IN SELECT m.relation, s.name, s.caches, s.last_value, s.is_called
             FROM slipstream.moved() m JOIN slipstream.sequence s ON s.relation = m.relation LOOP
        PERFORM setval(t.relation::regclass, t.last_value, t.is_called);
        IF t.caches THEN
            reason := format('the sequence %s moved, and sessions cache its values', t.name);
        END IF;
    END LOOP;

    IF mark->>'large_objects' <> slipstream.large_objects() THEN
        PERFORM slipstream.restore_large_objects();
        mark := jsonb_set(mark, '{large_objects}', to_jsonb(slipstream.large_objects()));
        grown := grown || ARRAY(
            SELECT target FROM slipstream.relation
            WHERE relation = 'pg_largeobject'::regclass AND pg_table_size(relation) > size_limit);
    END IF;
    IF refreshed IS NOT NULL THEN
        PERFORM slipstream.refresh_materialized(refreshed);
    END IF;
    RETURN jsonb_build_object(
        'tables', names, 'leftovers', leftovers, 'cannot', reason, 'grown', grown,
        'mark', jsonb_set(mark, '{at}', to_jsonb(clock_timestamp())));
END $$;

CREATE FUNCTION slipstream.vacuumed(targets text[]) RETURNS void LANGUAGE sql AS $$
UPDATE slipstream.relation SET size_limit = 2 * pg_table_size(relation) + 65536
WHERE target = ANY (targets) $$;

CREATE FUNCTION slipstream.touched() RETURNS SETOF text LANGUAGE sql STABLE AS $$
SELECT name FROM slipstream.relation
WHERE relation IN (SELECT relation FROM slipstream.change) ORDER BY name $$;


-- Layers ------------------------------------------------------------------------------------------

CREATE FUNCTION slipstream.push_layer(mark jsonb, number int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    touched oid[];
    ddl text[];
    moved_names text[];
    names text[];
BEGIN
    WITH gone AS (DELETE FROM slipstream.change RETURNING relation)
    SELECT array_agg(DISTINCT relation) INTO touched FROM gone;
    WITH gone AS (DELETE FROM slipstream.ddl RETURNING *)
    SELECT array_agg(rtrim(tag || ' ' || object)) FILTER (
        WHERE NOT temporary AND NOT (tag = 'ALTER SEQUENCE' AND EXISTS (
                     SELECT FROM slipstream.sequence s
                     WHERE s.relation = objid AND s.definition = slipstream.definition(objid))))
    INTO ddl FROM gone;
    IF ddl IS NULL AND mark->>'unseen' IS DISTINCT FROM slipstream.unseen() THEN
        ddl := ARRAY['a change of event triggers or of the database itself'];
    END IF;
    IF ddl IS NOT NULL THEN
        PERFORM slipstream.instrument();
        PERFORM slipstream.hold(number, slipstream.worth_holding(
            ARRAY(SELECT relation FROM slipstream.relation)));
        INSERT INTO slipstream.position
        SELECT relation, number, last_value, is_called FROM slipstream.sequence;
    ELSE
        PERFORM slipstream.hold(number, slipstream.worth_holding(slipstream.stored(touched)));
        WITH moved AS (
            UPDATE slipstream.sequence s SET last_value = m.last_value, is_called = m.is_called
            FROM slipstream.moved() m WHERE m.relation = s.relation
            RETURNING s.relation, s.name, s.last_value, s.is_called
        ), recorded AS (
            INSERT INTO slipstream.position SELECT relation, number, last_value, is_called FROM moved
        )
        SELECT array_agg(name) INTO moved_names FROM moved;
    END IF;
    IF mark->>'large_objects' <> slipstream.large_objects() THEN
        PERFORM slipstream.hold_large_objects(number);
        moved_names := moved_names || 'pg_catalog.pg_largeobject'::text;
    END IF;
    SELECT array_agg(name ORDER BY name) INTO names FROM slipstream.relation
    WHERE relation = ANY (touched);
    RETURN jsonb_build_object('tables', coalesce(names, '{}') || coalesce(moved_names, '{}'),
                              'ddl', coalesce(ddl, '{}'), 'mark', slipstream.mark());
END $$;

-- What a layer holds, to lay it on a new database.
CREATE FUNCTION slipstream.export_layer(number int) RETURNS text LANGUAGE sql STABLE AS $$
SELECT json_build_object(
    'holding', (SELECT json_agg(h) FROM slipstream.holding h WHERE layer = number),
    'snapshot', (SELECT json_agg(s) FROM slipstream.snapshot s WHERE layer = number),
    'position', (SELECT json_agg(p) FROM slipstream.position p WHERE layer = number),
    'large_object', (SELECT json_agg(o) FROM slipstream.large_object o WHERE layer = number)) $$;

-- Lays a layer on top; the next clean() makes the tables hold its rows.
CREATE FUNCTION slipstream.import_layer(number int, exported json) RETURNS void LANGUAGE sql AS $$
INSERT INTO slipstream.holding
SELECT * FROM json_populate_recordset(NULL::slipstream.holding, exported->'holding');
INSERT INTO slipstream.snapshot
SELECT * FROM json_populate_recordset(NULL::slipstream.snapshot, exported->'snapshot');
INSERT INTO slipstream.position
SELECT * FROM json_populate_recordset(NULL::slipstream.position, exported->'position');
INSERT INTO slipstream.large_object
SELECT * FROM json_populate_recordset(NULL::slipstream.large_object, exported->'large_object');
INSERT INTO slipstream.change SELECT relation FROM slipstream.holding
WHERE layer = number AND relation <> 'pg_largeobject'::regclass;
SELECT slipstream.settle_positions() $$;

-- The recorded position of a sequence is that of its topmost layer.
CREATE FUNCTION slipstream.settle_positions() RETURNS void LANGUAGE sql AS $$
UPDATE slipstream.sequence s SET last_value = p.last_value, is_called = p.is_called
FROM (SELECT DISTINCT ON (relation) * FROM slipstream.position ORDER BY relation, layer DESC) p
WHERE p.relation = s.relation
  AND (p.last_value <> s.last_value OR p.is_called <> s.is_called) $$;

-- Takes a layer out, also from under others: the rows that it had added, against what lies below,
-- go from the layers above it, and those that it had removed come back there, unless a layer above
-- has its own row with the same key.
CREATE FUNCTION slipstream.pop_layer(number int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    h record;
    above int;
    below int;
BEGIN
    FOR h IN SELECT relation FROM slipstream.holding WHERE layer = number
             AND relation <> 'pg_largeobject'::regclass LOOP
        below := (SELECT max(layer) FROM slipstream.holding
                  WHERE relation = h.relation AND layer < number);
        FOR above IN SELECT layer FROM slipstream.holding
                     WHERE relation = h.relation AND layer > number LOOP
            PERFORM slipstream.rebase(h.relation, below, number, above);
        END LOOP;
        INSERT INTO slipstream.change VALUES (h.relation);
    END LOOP;
    DELETE FROM slipstream.holding WHERE layer = number;
    DELETE FROM slipstream.snapshot WHERE layer = number;
    DELETE FROM slipstream.position WHERE layer = number;
    DELETE FROM slipstream.large_object WHERE layer = number;
    PERFORM slipstream.settle_positions();
END $$;

CREATE FUNCTION slipstream.rebase(asked oid, below int, removed int, above int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- number tells equal rows apart, so that of two only as many go as were added.
    WITH numbered AS (
        SELECT *, row_number() OVER (PARTITION BY layer, content ORDER BY number) AS copy
        FROM slipstream.snapshot WHERE relation = asked AND layer IN (below, removed, above)
    ), added AS (
        SELECT content, copy FROM numbered r WHERE layer = removed AND NOT EXISTS (
            SELECT FROM numbered b
            WHERE b.layer = below AND b.content = r.content AND b.copy = r.copy)
    ), taken AS (
        SELECT key, content FROM numbered b WHERE layer = below AND NOT EXISTS (
            SELECT FROM numbered r
            WHERE r.layer = removed AND r.content = b.content AND r.copy = b.copy)
    ), gone AS (
        DELETE FROM slipstream.snapshot s USING numbered n, added a
        WHERE n.layer = above AND n.content = a.content AND n.copy = a.copy
          AND s.relation = asked AND s.layer = above AND s.number = n.number
        RETURNING s.number
    )
    INSERT INTO slipstream.snapshot
    SELECT asked, above,
           (SELECT coalesce(max(number), 0) FROM numbered) + row_number() OVER (), t.key, t.content
    FROM taken t
    WHERE NOT EXISTS (
        SELECT FROM numbered n WHERE n.layer = above AND n.key = t.key
          AND n.number NOT IN (SELECT number FROM gone));
    UPDATE slipstream.holding SET rows = (
        SELECT count(*) FROM slipstream.snapshot WHERE relation = asked AND layer = above)
    WHERE relation = asked AND layer = above;
END $$;

-- What there is in the database: tables, sequences, materialized views; and the trigger on each.

CREATE VIEW _slipstream.storing AS
SELECT c.oid AS relation, c.relkind, c.relpersistence, n.nspname, c.relname,
       format('%I.%I', n.nspname, c.relname) AS target
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', '_slipstream')
  AND n.nspname NOT LIKE 'pg\_toast%';

CREATE FUNCTION _slipstream.obstacle(asked oid, kind "char") RETURNS text LANGUAGE sql STABLE AS $$
SELECT CASE
    WHEN kind = 'f' THEN 'it is a foreign table, whose rows lie elsewhere'
    WHEN NOT EXISTS (SELECT FROM pg_attribute
                     WHERE attrelid = asked AND attnum > 0 AND NOT attisdropped)
        THEN 'it has no columns'
    WHEN EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = asked
                 AND deptype = 'e') THEN 'it belongs to an extension'
    WHEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = asked AND tgenabled IN ('A', 'R')
                 AND tgname <> 'slipstream_change')
        THEN 'it has a trigger that is enabled ALWAYS or REPLICA'
    WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = asked AND ev_enabled IN ('A', 'R'))
        THEN 'it has a rule that is enabled ALWAYS or REPLICA'
END $$;

CREATE FUNCTION _slipstream.members(asked oid) RETURNS oid[] LANGUAGE sql STABLE AS $$
WITH RECURSIVE descendant AS (
    SELECT asked AS relation
    UNION
    SELECT i.inhrelid FROM descendant d JOIN pg_inherits i ON i.inhparent = d.relation
)
SELECT coalesce(array_agg(d.relation), '{}')
FROM descendant d JOIN pg_class c ON c.oid = d.relation WHERE c.relkind <> 'p' $$;

-- Describes every table anew and gives each the trigger that it may not have yet, or that a wider
-- fixture disabled.
CREATE FUNCTION _slipstream.instrument() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
    truncate text;
BEGIN
    DELETE FROM _slipstream.relation;
    FOR t IN
        SELECT s.*, g.tgenabled FROM _slipstream.storing s
        LEFT JOIN pg_trigger g ON g.tgrelid = s.relation AND g.tgname = 'slipstream_change'
        WHERE g.tgenabled IS DISTINCT FROM 'A' ORDER BY s.relation
    LOOP
        IF t.tgenabled IS NULL THEN
            truncate := CASE WHEN t.relkind = 'f' AND current_setting('server_version_num')::int
                             < 160000 THEN '' ELSE ' OR TRUNCATE' END;
            EXECUTE format(
                'CREATE TRIGGER slipstream_change AFTER INSERT OR UPDATE OR DELETE%s ON %s '
                'FOR EACH STATEMENT WHEN (current_setting(''slipstream.cleaning'', true) '
                'IS DISTINCT FROM ''on'') EXECUTE FUNCTION _slipstream.note_change()',
                truncate, t.target);
        END IF;
        EXECUTE format(CASE WHEN t.relkind = 'f'
            THEN 'ALTER FOREIGN TABLE %s ENABLE ALWAYS TRIGGER slipstream_change'
            ELSE 'ALTER TABLE %s ENABLE ALWAYS TRIGGER slipstream_change' END, t.target);
    END LOOP;
    INSERT INTO _slipstream.relation
    SELECT s.relation, s.nspname || '.' || s.relname, s.target, _slipstream.members(s.relation),
           coalesce((SELECT array_agg(quote_ident(attname) ORDER BY attnum) FROM pg_attribute
                     WHERE attrelid = s.relation AND attnum > 0 AND NOT attisdropped
                       AND attgenerated = ''), '{}'),
           (SELECT format('ROW(%s)::text', string_agg(format('_slipstream_row.%I', a.attname), ',' ORDER BY a.attnum))
            FROM pg_index i JOIN pg_attribute a
                 ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::smallint[])
            WHERE i.indrelid = s.relation AND i.indisprimary HAVING count(*) > 0),
           _slipstream.obstacle(s.relation, s.relkind),
           c.reltoastrelid, greatest(pg_relation_size(c.oid), pg_relation_size(c.reltoastrelid)) + 65536
    FROM _slipstream.storing s JOIN pg_class c ON c.oid = s.relation;
    -- Tables outside of any schema of the user's that cleaning makes dead rows in.
    INSERT INTO _slipstream.relation
    SELECT oid, oid::regclass::text, oid::regclass::text, '{}', '{}', NULL, NULL, 0,
           pg_relation_size(oid) + 65536
    FROM unnest(ARRAY['_slipstream.change', '_slipstream.ddl', '_slipstream.snapshot',
                      '_slipstream.holding', '_slipstream.position', '_slipstream.sequence',
                      'pg_catalog.pg_largeobject']::regclass[]) AS oid;
    PERFORM _slipstream.instrument_deletion();
    PERFORM _slipstream.instrument_sequences();
    PERFORM _slipstream.instrument_materialized();
END $$;

-- Makes _slipstream.delete_rows(): deletes the rows of a table that are not older than a transaction,
-- nor of another one; all rows, where they are NULL. A branch for each table is planned once in a
-- session, while an EXECUTE is planned each time. Parameters by number: a column may have any name.
CREATE FUNCTION _slipstream.instrument_deletion() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    branches text := (
        SELECT string_agg(format(
            'WHEN %s THEN IF $2 IS NULL THEN DELETE FROM ONLY %2$s; '
            'ELSE DELETE FROM ONLY %2$s WHERE age(xmin) <= age($2) AND xmin <> $3; END IF;',
            relation, target), E'\n')
        FROM _slipstream.relation WHERE relation = ANY (members) AND obstacle IS NULL);
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION _slipstream.delete_rows(oid, xid, xid) '
        'RETURNS void LANGUAGE plpgsql AS %L',
        concat('BEGIN ', 'CASE $1 ' || branches || ' END CASE; ', 'END'));
END $$;

CREATE FUNCTION _slipstream.definition(asked oid) RETURNS text LANGUAGE sql STABLE AS $$
SELECT concat_ws(' ', s::text, c.relname, c.relnamespace, c.relowner, c.relacl, c.relpersistence,
    (SELECT string_agg(concat_ws(':', refobjid, refobjsubid, deptype), ',' ORDER BY refobjid)
     FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = asked))
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid WHERE s.seqrelid = asked $$;

-- ALTER SEQUENCE … RESTART changes nothing but the position, which cleaning puts back.
CREATE FUNCTION _slipstream.only_restarts(tag text, asked oid) RETURNS boolean
LANGUAGE sql STABLE AS $$
SELECT tag = 'ALTER SEQUENCE' AND EXISTS (
    SELECT FROM _slipstream.sequence s
    WHERE s.relation = asked AND s.definition = _slipstream.definition(asked)) $$;

-- Makes _slipstream.moved(): the sequences that stand elsewhere than recorded, and where.
-- Before PostgreSQL 18 no function reads a sequence exactly and fast: pg_sequence_last_value()
-- does not see setval(…, false). So every sequence is a branch of one statement, planned once.
CREATE FUNCTION _slipstream.instrument_sequences() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s record;
    reading text;
BEGIN
    DELETE FROM _slipstream.sequence;
    FOR s IN
        SELECT c.oid, n.nspname, c.relname, q.seqcache > 1 AS caches
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_sequence q ON q.seqrelid = c.oid
        WHERE c.relpersistence <> 't' AND n.nspname <> '_slipstream' ORDER BY c.oid
    LOOP
        EXECUTE format(
            'INSERT INTO _slipstream.sequence SELECT $1, $2, $3, $4, last_value, is_called FROM %I.%I',
            s.nspname, s.relname)
        USING s.oid, s.nspname || '.' || s.relname, _slipstream.definition(s.oid), s.caches;
    END LOOP;
    IF current_setting('server_version_num')::int >= 180000 THEN
        -- Not LATERAL, which sets up a function scan for each sequence; OFFSET 0: read once.
        reading := 'SELECT q.relation, (q.p).last_value, (q.p).is_called FROM ('
                   'SELECT s.*, pg_get_sequence_data(s.relation) AS p FROM _slipstream.sequence s '
                   'OFFSET 0) q '
                   'WHERE (q.p).last_value <> q.last_value OR (q.p).is_called <> q.is_called';
    ELSE
        SELECT format('SELECT s.relation, p.last_value, p.is_called FROM (%s) p '
                      'JOIN _slipstream.sequence s ON s.relation = p.relation '
                      'WHERE p.last_value <> s.last_value OR p.is_called <> s.is_called',
                      string_agg(format('SELECT %s::oid AS relation, last_value, is_called FROM %s',
                                        relation, relation::regclass), ' UNION ALL '))
        INTO reading FROM _slipstream.sequence;
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION _slipstream.moved() '
        'RETURNS TABLE (relation oid, last_value bigint, is_called boolean) LANGUAGE plpgsql AS %L',
        format('#variable_conflict use_column %s BEGIN %s; END', E'\n',
               CASE WHEN EXISTS (SELECT FROM _slipstream.sequence)
                    THEN 'RETURN QUERY ' || reading ELSE 'RETURN' END));
END $$;

CREATE FUNCTION _slipstream.digest_of(target text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    digest text;
BEGIN
    EXECUTE format('SELECT md5(string_agg(md5(r::text), '','' ORDER BY md5(r::text))) '
                   'FROM %s _slipstream_row, LATERAL (SELECT _slipstream_row::text) r(r)',
                   target) INTO digest;
    RETURN coalesce(digest, '');
END $$;

CREATE FUNCTION _slipstream.instrument_materialized() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM _slipstream.materialized;
    INSERT INTO _slipstream.materialized
    SELECT m.oid, m.target, m.relispopulated,
           CASE WHEN m.relispopulated THEN _slipstream.digest_of(m.target) ELSE '' END
    FROM (SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS target, c.relispopulated
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE c.relkind = 'm') m;
END $$;

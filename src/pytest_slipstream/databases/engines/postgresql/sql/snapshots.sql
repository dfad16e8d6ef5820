-- Snapshots of rows: taken into a layer, and put back from the topmost one.
--
-- Whole rows are named by an alias that no column has: `t::text` would be a column t.

-- Takes all rows of the given tables into a layer. A table whose rows do not survive the way
-- through text byte by byte gets an obstacle.
CREATE FUNCTION _slipstream.hold(into_layer int, relations oid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
    taken bigint;
    exact boolean;
BEGIN
    FOR t IN SELECT * FROM _slipstream.relation
             WHERE relation = ANY (relations) AND obstacle IS NULL LOOP
        EXECUTE format(
            'INSERT INTO _slipstream.snapshot '
            'SELECT $1, $2, row_number() OVER (), %s, _slipstream_row::text FROM ONLY %s _slipstream_row',
            coalesce(t.key, 'NULL'), t.target) USING t.relation, into_layer;
        GET DIAGNOSTICS taken = ROW_COUNT;
        INSERT INTO _slipstream.holding VALUES (t.relation, into_layer, taken);
        EXECUTE format('SELECT coalesce(bool_and(_slipstream_row::text::%1$s *= _slipstream_row.*), true) '
                       'FROM ONLY %1$s _slipstream_row',
                       t.target) INTO exact;
        IF NOT exact THEN
            UPDATE _slipstream.relation SET obstacle = 'its rows do not survive conversion to text'
            WHERE relation = t.relation;
        END IF;
    END LOOP;
END $$;

-- The stored tables among those given that have rows now, or that a layer holds already.
CREATE FUNCTION _slipstream.worth_holding(relations oid[]) RETURNS oid[] LANGUAGE plpgsql AS $$
DECLARE
    t record;
    filled boolean;
    found oid[] := '{}';
BEGIN
    FOR t IN SELECT r.relation, r.target,
                    EXISTS (SELECT FROM _slipstream.holding h WHERE h.relation = r.relation) AS held
             FROM _slipstream.relation r
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

CREATE FUNCTION _slipstream.hold_large_objects(into_layer int) RETURNS void LANGUAGE sql AS $$
INSERT INTO _slipstream.large_object
SELECT into_layer, oid, lomowner, lomacl IS NOT NULL, lo_get(oid) FROM pg_largeobject_metadata;
INSERT INTO _slipstream.holding
SELECT 'pg_largeobject'::regclass, into_layer, count(*) FROM pg_largeobject_metadata $$;

CREATE FUNCTION _slipstream.stored(relations oid[]) RETURNS oid[] LANGUAGE sql STABLE AS $$
SELECT coalesce(array_agg(DISTINCT m), '{}')
FROM _slipstream.relation r, unnest(r.members) m WHERE r.relation = ANY (relations) $$;


-- Where the rows of a table that layers hold must come from: the topmost layer.
CREATE FUNCTION _slipstream.restore(relation oid, target text, columns text[], key text, held_in int,
                                   rows bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    source text := 'SELECT $1, $2';
    missing text := '';
BEGIN
    -- A large table that has a primary key, so that no row is there twice: only the difference.
    IF rows > 50 AND key IS NOT NULL THEN
        EXECUTE format(
            'DELETE FROM ONLY %s _slipstream_row WHERE NOT EXISTS (SELECT FROM _slipstream.snapshot s '
            'WHERE s.relation = $1 AND s.layer = $2 AND s.content = _slipstream_row::text)', target)
        USING relation, held_in;
        missing := format('AND NOT EXISTS (SELECT FROM ONLY %s _slipstream_row '
                          'WHERE _slipstream_row::text = s.content) ',
                          target);
    ELSE
        EXECUTE format('DELETE FROM ONLY %s', target);
    END IF;
    -- OFFSET 0 keeps the conversion from being done again for each column.
    EXECUTE format(
        'INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM ('
        'SELECT s.content::%1$s AS r FROM _slipstream.snapshot s '
        'WHERE s.relation = $1 AND s.layer = $2 %4$sORDER BY s.number OFFSET 0) q',
        target, array_to_string(columns, ', '),
        (SELECT string_agg('(q.r).' || c, ', ' ORDER BY i) FROM unnest(columns) WITH ORDINALITY u(c, i)),
        missing)
    USING relation, held_in;
END $$;

CREATE FUNCTION _slipstream.restore_large_objects() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    top int := (SELECT max(layer) FROM _slipstream.holding
                WHERE relation = 'pg_largeobject'::regclass);
BEGIN
    PERFORM lo_unlink(m.oid) FROM pg_largeobject_metadata m
    WHERE NOT EXISTS (SELECT FROM _slipstream.large_object h
                      WHERE h.layer = top AND h.loid = m.oid AND h.content = lo_get(m.oid));
    IF EXISTS (SELECT FROM _slipstream.large_object h
               WHERE h.layer = top AND (h.granted OR h.owner <> current_user::regrole)
                 AND NOT EXISTS (SELECT FROM pg_largeobject_metadata m WHERE m.oid = h.loid)) THEN
        RAISE 'a large object with rights or an owner of its own was changed';
    END IF;
    PERFORM lo_from_bytea(h.loid, h.content) FROM _slipstream.large_object h
    WHERE h.layer = top
      AND NOT EXISTS (SELECT FROM pg_largeobject_metadata m WHERE m.oid = h.loid);
END $$;

CREATE FUNCTION _slipstream.refresh_materialized(refreshed oid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    m record;
BEGIN
    FOR m IN SELECT * FROM _slipstream.materialized WHERE relation = ANY (refreshed)
             ORDER BY relation LOOP
        EXECUTE format('REFRESH MATERIALIZED VIEW %s%s', m.target,
                       CASE WHEN m.populated THEN '' ELSE ' WITH NO DATA' END);
        IF m.populated AND _slipstream.digest_of(m.target) <> m.digest THEN
            RAISE 'the materialized view % holds other rows than a refresh gives', m.target;
        END IF;
    END LOOP;
END $$;

-- Layers: what wider fixtures wrote, pushed, popped, and carried over to a new database.

CREATE FUNCTION _slipstream.push_layer(mark jsonb, number int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    touched oid[];
    ddl text[];
    names text[];
    moved text[];
    since jsonb := _slipstream.since();
BEGIN
    WITH gone AS (DELETE FROM _slipstream.change RETURNING relation)
    SELECT coalesce(array_agg(DISTINCT relation), '{}') INTO touched FROM gone;
    WITH gone AS (DELETE FROM _slipstream.ddl RETURNING *)
    SELECT coalesce(array_agg(rtrim(tag || ' ' || object)) FILTER (
               WHERE NOT temporary AND NOT _slipstream.only_restarts(tag, objid)), '{}')
    INTO ddl FROM gone;
    IF mark->>'unseen' <> _slipstream.unseen((mark->>'database')::oid) THEN
        ddl := ddl || 'a change of event triggers or of the database itself'::text;
    END IF;
    names := ARRAY(SELECT name FROM _slipstream.relation WHERE relation = ANY (touched));
    IF ddl <> '{}' THEN
        -- Any table may have other columns now: snapshots below this layer are void.
        PERFORM _slipstream.instrument();
        names := ARRAY(SELECT name FROM _slipstream.relation WHERE relation = ANY (touched));
        touched := ARRAY(SELECT relation FROM _slipstream.relation);
        INSERT INTO _slipstream.position
        SELECT relation, number, last_value, is_called FROM _slipstream.sequence;
        PERFORM setval(relation::regclass, last_value, is_called) FROM _slipstream.sequence;
    END IF;
    PERFORM _slipstream.hold(number, _slipstream.worth_holding(_slipstream.stored(touched)));
    moved := _slipstream.hold_positions(number);
    IF mark->>'large_objects' <> _slipstream.large_objects() THEN
        PERFORM _slipstream.hold_large_objects(number);
        moved := moved || 'pg_catalog.pg_largeobject'::text;
    END IF;
    RETURN jsonb_build_object(
        'tables', ARRAY(SELECT n FROM unnest(CASE WHEN names = '{}' THEN moved ELSE names END) n
                        ORDER BY n),
        'ddl', ddl, 'mark', _slipstream.mark(since, (
            SELECT coalesce(jsonb_agg(lock), '[]') FROM _slipstream.advisory_locks())));
END $$;

CREATE FUNCTION _slipstream.hold_positions(into_layer int) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    names text[];
BEGIN
    WITH moved AS (
        UPDATE _slipstream.sequence s SET last_value = m.last_value, is_called = m.is_called
        FROM _slipstream.moved() m WHERE m.relation = s.relation
        RETURNING s.relation, s.name, s.last_value, s.is_called
    ), recorded AS (
        INSERT INTO _slipstream.position
        SELECT relation, into_layer, last_value, is_called FROM moved
    )
    SELECT coalesce(array_agg(name), '{}') INTO names
    FROM (SELECT name, setval(relation::regclass, last_value, is_called) FROM moved OFFSET 0) m;
    RETURN names;
END $$;

-- What a layer holds, to lay it on a new database.
CREATE FUNCTION _slipstream.export_layer(asked int) RETURNS text LANGUAGE sql STABLE AS $$
SELECT json_build_object(
    'holding', (SELECT coalesce(json_agg(h), '[]') FROM _slipstream.holding h WHERE layer = asked),
    'snapshot', (SELECT coalesce(json_agg(s), '[]') FROM _slipstream.snapshot s WHERE layer = asked),
    'position', (SELECT coalesce(json_agg(p), '[]') FROM _slipstream.position p WHERE layer = asked),
    'large_object', (SELECT coalesce(json_agg(o), '[]') FROM _slipstream.large_object o WHERE layer = asked)) $$;

-- The recorded position of a sequence is that of its topmost layer.
CREATE FUNCTION _slipstream.settle_positions() RETURNS void LANGUAGE sql AS $$
UPDATE _slipstream.sequence s SET last_value = p.last_value, is_called = p.is_called
FROM (SELECT DISTINCT ON (relation) * FROM _slipstream.position ORDER BY relation, layer DESC) p
WHERE p.relation = s.relation
  AND (p.last_value <> s.last_value OR p.is_called <> s.is_called) $$;

-- Lays a layer on top; the next clean() makes the tables hold its rows.
CREATE FUNCTION _slipstream.import_layer(exported json) RETURNS void LANGUAGE sql AS $$
INSERT INTO _slipstream.holding
SELECT * FROM json_populate_recordset(NULL::_slipstream.holding, exported->'holding');
INSERT INTO _slipstream.snapshot
SELECT * FROM json_populate_recordset(NULL::_slipstream.snapshot, exported->'snapshot');
INSERT INTO _slipstream.position
SELECT * FROM json_populate_recordset(NULL::_slipstream.position, exported->'position');
INSERT INTO _slipstream.large_object
SELECT * FROM json_populate_recordset(NULL::_slipstream.large_object, exported->'large_object');
INSERT INTO _slipstream.change
SELECT relation FROM json_populate_recordset(NULL::_slipstream.holding, exported->'holding');
SELECT _slipstream.settle_positions() $$;

-- Takes a layer out, also from under others; the next clean() puts back what it held. Returns our
-- own tables that have too many dead rows by now.
CREATE FUNCTION _slipstream.pop_layer(asked int) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
    PERFORM _slipstream.rebase(h.relation, asked, above.layer)
    FROM _slipstream.holding h JOIN _slipstream.holding above
         ON above.relation = h.relation AND above.layer > h.layer
    WHERE h.layer = asked AND h.relation <> 'pg_largeobject'::regclass;
    INSERT INTO _slipstream.change
    SELECT relation FROM _slipstream.holding WHERE layer = asked;
    DELETE FROM _slipstream.holding WHERE layer = asked;
    DELETE FROM _slipstream.snapshot WHERE layer = asked;
    DELETE FROM _slipstream.position WHERE layer = asked;
    DELETE FROM _slipstream.large_object WHERE layer = asked;
    PERFORM _slipstream.settle_positions();
    RETURN ARRAY(SELECT target FROM _slipstream.relation
                 WHERE target LIKE '\_slipstream.%' AND pg_relation_size(relation) > size_limit);
END $$;

-- Takes what a layer had done to a table out of a layer above it. Against what lies below, rows
-- that it had added go, and rows that it had removed or changed come back, unless the layer above
-- did something of its own to that key: has another row of it, or took away the changed one.
-- `copy` tells equal rows apart: of two only as many go as were added.
CREATE FUNCTION _slipstream.rebase(asked oid, removed int, above int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    below int := (SELECT max(layer) FROM _slipstream.holding
                  WHERE relation = asked AND layer < removed);
BEGIN
    WITH numbered AS (
        SELECT layer, number, key, content,
               row_number() OVER (PARTITION BY layer, content ORDER BY number) AS copy
        FROM _slipstream.snapshot WHERE relation = asked AND layer IN (below, removed, above)
    ), added AS (
        SELECT content, copy FROM numbered r WHERE layer = removed AND NOT EXISTS (
            SELECT FROM numbered b
            WHERE b.layer = below AND b.content = r.content AND b.copy = r.copy)
    ), taken AS (
        SELECT key, content FROM numbered b WHERE layer = below AND NOT EXISTS (
            SELECT FROM numbered r
            WHERE r.layer = removed AND r.content = b.content AND r.copy = b.copy)
    ), gone AS (
        DELETE FROM _slipstream.snapshot s USING numbered n, added a
        WHERE n.layer = above AND n.content = a.content AND n.copy = a.copy
          AND s.relation = asked AND s.layer = above AND s.number = n.number
        RETURNING s.number, s.key
    )
    INSERT INTO _slipstream.snapshot
    SELECT asked, above,
           (SELECT coalesce(max(number), 0) FROM numbered) + row_number() OVER (), t.key, t.content
    FROM taken t
    WHERE NOT EXISTS (
        SELECT FROM numbered n WHERE n.layer = above AND n.key = t.key
          AND n.number NOT IN (SELECT number FROM gone))
      AND (NOT EXISTS (SELECT FROM numbered n WHERE n.layer = removed AND n.key = t.key)
           OR EXISTS (SELECT FROM gone WHERE gone.key = t.key));
    UPDATE _slipstream.holding SET rows = (
        SELECT count(*) FROM _slipstream.snapshot WHERE relation = asked AND layer = above)
    WHERE relation = asked AND layer = above;
END $$;

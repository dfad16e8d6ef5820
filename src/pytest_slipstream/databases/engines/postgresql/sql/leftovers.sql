-- What sessions leave behind: transactions, advisory locks. It is ended and told.

CREATE FUNCTION _slipstream.end_sessions(pids int[], what text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    a record;
    found jsonb := '[]';
BEGIN
    IF coalesce(cardinality(pids), 0) = 0 THEN
        RETURN found;
    END IF;
    FOR a IN SELECT * FROM pg_stat_activity WHERE pid = ANY (pids) LOOP
        found := found || jsonb_build_object('kind', what, 'detail', format(
            'pid %s%s%s, %s; last statement: %s', a.pid,
            coalesce(', application ' || nullif(a.application_name, ''), ''),
            coalesce(', user ' || a.usename, ''), a.state,
            left(regexp_replace(a.query, '\s+', ' ', 'g'), 200)));
        PERFORM pg_terminate_backend(a.pid);
    END LOOP;
    -- pg_terminate_backend's own timeout is waited for in steps of 100 ms.
    FOR step IN 1..5000 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_get_activity(NULL) WHERE pid = ANY (pids));
        PERFORM pg_sleep(0.001);
    END LOOP;
    RETURN found;
END $$;

-- Ends transactions that began after `since`, after a moment in which they may end by themselves:
-- 10 ms for one that waits for its client, 250 ms for one that executes a statement.
CREATE FUNCTION _slipstream.end_transactions(since timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    working int;
    present int;
    start timestamptz;
BEGIN
    LOOP
        SELECT count(*), count(*) FILTER (WHERE state = 'active') INTO present, working
        FROM pg_stat_activity a
        WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
          AND a.xact_start > since AND a.backend_type = 'client backend';
        IF present = 0 THEN
            RETURN '[]';
        END IF;
        start := coalesce(start, clock_timestamp());
        EXIT WHEN clock_timestamp() - start
                  > CASE WHEN working > 0 THEN interval '250 ms' ELSE interval '10 ms' END;
        PERFORM pg_sleep(0.002), pg_stat_clear_snapshot();
    END LOOP;
    RETURN _slipstream.end_sessions(
        ARRAY(SELECT a.pid FROM pg_stat_activity a
              WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
                AND a.xact_start > since AND a.backend_type = 'client backend'),
        'transaction');
END $$;

CREATE FUNCTION _slipstream.advisory_locks() RETURNS TABLE (pid int, lock text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT l.pid, concat_ws(':', l.pid, l.classid, l.objid, l.objsubid, l.mode)
    FROM pg_lock_status() l
    WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid()
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());
END $$;

CREATE FUNCTION _slipstream.end_lock_holders(since timestamptz, kept jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN _slipstream.end_sessions(
        ARRAY(SELECT l.pid FROM _slipstream.advisory_locks() l
              LEFT JOIN pg_stat_activity a ON a.pid = l.pid
              WHERE NOT kept ? l.lock AND (a.xact_start IS NULL OR a.xact_start > since)),
        'advisory lock');
END $$;

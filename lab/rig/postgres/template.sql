-- The content of every lab's databases. Run once, in database "lab"; "lab2" is then copied from it.

-- A seat is what one plan at a time connects as: two users, so that a second identity can be told from the first.
CREATE ROLE lab_other NOLOGIN;
-- Whose sessions fill the connection slots.
CREATE ROLE lab_spare LOGIN;

DO $$
BEGIN
    FOR seat IN 0..39 LOOP
        EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', 'lab_s' || lpad(seat::text, 2, '0'));
        EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', 'lab_s' || lpad(seat::text, 2, '0') || 'b');
        EXECUTE format('GRANT lab_other TO %I', 'lab_s' || lpad(seat::text, 2, '0'));
        EXECUTE format('GRANT lab_other TO %I', 'lab_s' || lpad(seat::text, 2, '0') || 'b');
    END LOOP;
END
$$;

CREATE SCHEMA lab;

-- A session's name, e.g. 4711@1700000000.123456: pids are reused, pid and start together are not.
CREATE FUNCTION lab.session_name(pid integer, backend_start timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT pid || '@' || extract(epoch FROM backend_start)::numeric(20, 6) $$;

-- The calling session's name. Security definer: whatever role was set, a session may know its own.
CREATE FUNCTION lab.session() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$ SELECT lab.session_name(pid, backend_start) FROM pg_stat_get_activity(pg_backend_pid()) $$;

-- Waits while the lab holds the exclusive advisory lock `key` of this database, else returns at once.
CREATE FUNCTION lab.gate(key bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_advisory_lock_shared(key);
    PERFORM pg_advisory_unlock_shared(key);
END
$$;

-- What requests write. No unique constraint on token: a write that happened twice must show.
CREATE TABLE lab.token (
    id bigserial PRIMARY KEY,
    plan text NOT NULL,
    token text NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    session text NOT NULL DEFAULT lab.session(),
    gate bigint,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX token_plan ON lab.token (plan);

-- A SELECT that writes: what a statement begins with does not say that it may be sent again.
CREATE FUNCTION lab.write(plan text, token text, gate bigint) RETURNS SETOF lab.token
    LANGUAGE sql
    AS $$ INSERT INTO lab.token (plan, token, gate) VALUES (plan, token, gate) RETURNING * $$;

-- An UPDATE of this view inserts a token: sent twice, it leaves two tokens.
CREATE VIEW lab.latest AS
    SELECT NULL::text AS plan, NULL::text AS token, NULL::bigint AS gate, NULL::text AS session, NULL::xid8 AS xid;
CREATE FUNCTION lab.write_latest() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO lab.token (plan, token, gate) VALUES (NEW.plan, NEW.token, NEW.gate)
        RETURNING token.session, token.xid INTO NEW.session, NEW.xid;
    RETURN NEW;
END
$$;
CREATE TRIGGER latest_written INSTEAD OF UPDATE ON lab.latest FOR EACH ROW EXECUTE FUNCTION lab.write_latest();

-- For errors of single statements.
CREATE TABLE lab.uniq (token text PRIMARY KEY);
CREATE TABLE lab.counter (id integer PRIMARY KEY, n integer NOT NULL);

-- A row with a gate holds its COMMIT inside the server, before anything is durable, while the gate is shut.
CREATE FUNCTION lab.pass_gate() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM lab.gate(NEW.gate);
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER token_gate AFTER INSERT ON lab.token
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.gate IS NOT NULL) EXECUTE FUNCTION lab.pass_gate();

GRANT USAGE ON SCHEMA lab TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA lab TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA lab TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lab TO PUBLIC;

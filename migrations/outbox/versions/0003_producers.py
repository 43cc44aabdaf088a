"""Who may enqueue: the producers' copy, and the database role that wrote each event."""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0003"
down_revision = "outbox_0002"
branch_labels = None
depends_on = None

# It runs as its owner, who owns the tables too: then `current_user` is that role, and whoever else
# has logged in is known by `session_user`, which no SET ROLE changes. A role that is no producer
# gets a name that no producer can have, so that it cannot use up another's idempotency keys.
# A role is looked for as text, for a `name` has another collation than the index.
# Whoever rewrites who, whose or what an event is answers for it as if it were new.
STAMP_FUNCTION = """
CREATE FUNCTION dispatcher.stamp_writer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_role text := session_user;
BEGIN
    NEW.written_by := v_role;
    IF v_role <> current_user AND EXISTS (SELECT FROM dispatcher.producers) THEN
        NEW.producer := COALESCE(
            (SELECT p.producer FROM dispatcher.producers AS p
             WHERE p.kind = 'role' AND p.who = v_role),
            'role:' || v_role);
    END IF;
    RETURN NEW;
END $$
"""

STAMP_TRIGGER = """
CREATE TRIGGER stamp_writer
BEFORE INSERT OR UPDATE OF written_by, producer, tenant, type ON dispatcher.events
FOR EACH ROW EXECUTE FUNCTION dispatcher.stamp_writer()
"""

# Whoever could look a type up before must be able to look its producer up from now on.
SAME_READERS = """
DO $$
DECLARE
    v_reader text;
BEGIN
    FOR v_reader IN
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                             ELSE quote_ident(pg_get_userbyid(a.grantee)) END
        FROM pg_class AS c, aclexplode(c.relacl) AS a
        WHERE c.oid = 'dispatcher.catalogue'::regclass AND a.privilege_type = 'SELECT'
          AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT SELECT ON dispatcher.producers TO %s', v_reader);
    END LOOP;
END $$
"""

ENQUEUE_FUNCTION = """
CREATE OR REPLACE FUNCTION dispatcher.dispatcher_enqueue(
    p_tenant text,
    p_type text,
    p_subjects text[],
    p_payload json,
    p_idempotency_key text DEFAULT NULL,
    p_ordering_key text DEFAULT NULL,
    p_occurred_at timestamptz DEFAULT NULL,
    p_traceparent text DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_now bigint := CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint);
    v_id text := 'evt_' || replace(gen_random_uuid()::text, '-', '');
    v_payload bytea := convert_to(p_payload::text, 'UTF8');
    v_role text := session_user;
    v_producer text := v_role;
    v_known record;
    v_bytes_max integer;
    v_written text;
BEGIN
    IF p_tenant IS NULL OR btrim(p_tenant) = '' THEN
        RAISE EXCEPTION 'tenant_missing: name the tenant the event belongs to'
            USING ERRCODE = '22023';
    END IF;
    IF p_subjects IS NULL OR array_ndims(p_subjects) > 1
        OR EXISTS (SELECT 1 FROM unnest(p_subjects) AS s WHERE s IS NULL OR btrim(s) = '')
    THEN
        RAISE EXCEPTION 'subjects_missing: say whom the event is about; an empty array is allowed'
            USING ERRCODE = '22023';
    END IF;
    IF p_occurred_at < '1970-01-01 00:00:00+00' OR p_occurred_at >= '10000-01-01 00:00:00+00' THEN
        RAISE EXCEPTION 'occurred_at_invalid: the moment is not from 1970 to 9999'
            USING ERRCODE = '22023', HINT = 'Pass when it happened, or leave it out for now.';
    END IF;
    IF btrim(p_idempotency_key) = '' THEN
        RAISE EXCEPTION 'argument_invalid: the idempotency key is blank'
            USING ERRCODE = '22023', HINT = 'Pass a readable text, or leave it out.';
    END IF;
    SELECT payload_bytes_max INTO v_bytes_max FROM dispatcher.catalogue
    WHERE event_type = p_type;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'event_type_unknown: % is not in the catalogue', p_type
            USING ERRCODE = '22023', HINT = 'Register the event type, then apply the registry.';
    END IF;
    IF EXISTS (SELECT FROM dispatcher.producers) THEN
        SELECT p.producer INTO v_producer FROM dispatcher.producers AS p
        WHERE p.kind = 'role' AND p.who = v_role
          AND p.event_types::jsonb ?| ARRAY['*', p_type]
          AND p.tenants::jsonb ?| ARRAY['*', p_tenant];
        IF NOT FOUND THEN
            RAISE EXCEPTION 'producer_not_allowed: role % may not enqueue % for this tenant',
                v_role, p_type
                USING ERRCODE = '42501', HINT = 'In the registry, name the role in database_roles '
                    'of a [[producer]] with this event type and this tenant.';
        END IF;
    END IF;
    IF v_payload IS NULL OR json_typeof(p_payload) <> 'object' THEN
        RAISE EXCEPTION 'schema_invalid: the payload is not a JSON object' USING ERRCODE = '22023';
    END IF;
    IF length(v_payload) > v_bytes_max THEN
        RAISE EXCEPTION 'payload_too_large: % bytes, and % allows %',
            length(v_payload), p_type, v_bytes_max USING ERRCODE = '22023';
    END IF;
    INSERT INTO dispatcher.events (id, tenant, type, producer, subjects, payload, is_sealed,
        idempotency_key, payload_digest, ordering_key, traceparent, occurred_us, enqueued_us)
    VALUES (v_id, p_tenant, p_type, v_producer, array_to_json(p_subjects)::text, v_payload, false,
        p_idempotency_key,
        CASE WHEN p_idempotency_key IS NOT NULL
             THEN encode(sha256(convert_to(v_id || chr(10) || p_type || chr(10), 'UTF8')
                                || v_payload), 'hex') END,
        p_ordering_key, p_traceparent,
        COALESCE(CAST(extract(epoch FROM p_occurred_at) * 1000000 AS bigint), v_now), v_now)
    ON CONFLICT (tenant, producer, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id INTO v_written;
    IF v_written IS NOT NULL THEN
        RETURN v_written;
    END IF;
    SELECT id, payload_digest INTO v_known FROM dispatcher.events
    WHERE tenant = p_tenant AND producer = v_producer AND idempotency_key = p_idempotency_key;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'producer_not_allowed: who may enqueue has changed at this very moment'
            USING ERRCODE = '42501', HINT = 'Enqueue it again.';
    END IF;
    IF v_known.payload_digest IS DISTINCT FROM
        encode(sha256(convert_to(v_known.id || chr(10) || p_type || chr(10), 'UTF8') || v_payload),
               'hex')
    THEN
        RAISE EXCEPTION 'idempotency_conflict: this key was used for another payload'
            USING ERRCODE = '23505', HINT = 'Use a new key for a new event.';
    END IF;
    RETURN v_known.id;
END $$
"""


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    prefix, schema = ("dispatcher_", None) if on_sqlite else ("", "dispatcher")
    op.create_table(
        f"{prefix}producers",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("who", sa.Text, primary_key=True),
        sa.Column("producer", sa.Text, nullable=False),
        sa.Column("event_types", sa.Text, nullable=False),
        sa.Column("tenants", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_table(
        f"{prefix}publication",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        schema=schema,
    )
    op.add_column(f"{prefix}events", sa.Column("written_by", sa.Text), schema=schema)
    if not on_sqlite:
        for statement in (SAME_READERS, STAMP_FUNCTION, STAMP_TRIGGER, ENQUEUE_FUNCTION):
            op.execute(sa.text(statement.replace(":", "\\:")))

"""The outbox plane: events, deliveries, disclosures, and the function any language can call."""

import sqlalchemy as sa
from alembic import op

revision = "outbox_0001"
down_revision = None
branch_labels = None
depends_on = None

FILE_INTAKE_SQLITE = """
CREATE TRIGGER dispatcher_file_intake AFTER INSERT ON dispatcher_events
BEGIN
    INSERT INTO dispatcher_deliveries (event_seq, lane, state, due_us, attempt, failures)
    VALUES (NEW.seq, '', 'waiting', NEW.enqueued_us, 0, 0);
END
"""

FILE_INTAKE_FUNCTION = """
CREATE FUNCTION dispatcher.file_intake() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO dispatcher.deliveries (event_seq, lane, state, due_us, attempt, failures)
    SELECT seq, '', 'waiting',
           CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint), 0, 0
    FROM written ORDER BY seq;
    RETURN NULL;
END $$
"""

FILE_INTAKE_TRIGGER = """
CREATE TRIGGER file_intake AFTER INSERT ON dispatcher.events
REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION dispatcher.file_intake()
"""

ENQUEUE_FUNCTION = """
CREATE FUNCTION dispatcher.dispatcher_enqueue(
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
    IF v_payload IS NULL OR json_typeof(p_payload) <> 'object' THEN
        RAISE EXCEPTION 'schema_invalid: the payload is not a JSON object' USING ERRCODE = '22023';
    END IF;
    IF length(v_payload) > v_bytes_max THEN
        RAISE EXCEPTION 'payload_too_large: % bytes, and % allows %',
            length(v_payload), p_type, v_bytes_max USING ERRCODE = '22023';
    END IF;
    INSERT INTO dispatcher.events (id, tenant, type, producer, subjects, payload, is_sealed,
        idempotency_key, payload_digest, ordering_key, traceparent, occurred_us, enqueued_us)
    VALUES (v_id, p_tenant, p_type, session_user, array_to_json(p_subjects)::text, v_payload, false,
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
    WHERE tenant = p_tenant AND producer = session_user AND idempotency_key = p_idempotency_key;
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
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    create_events(prefix, schema, key)
    create_deliveries(prefix, schema, key)
    create_disclosures(prefix, schema)
    for name in ("field_sets", "scopes"):
        op.create_table(
            f"{prefix}{name}",
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("fields", sa.Text, nullable=False),
            schema=schema,
        )
    op.create_table(
        f"{prefix}catalogue",
        sa.Column("event_type", sa.Text, primary_key=True),
        sa.Column("schema", sa.Text, nullable=False),
        sa.Column("payload_bytes_max", sa.Integer, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        schema=schema,
    )
    statements = (
        (FILE_INTAKE_SQLITE,)
        if on_sqlite
        else (FILE_INTAKE_FUNCTION, FILE_INTAKE_TRIGGER, ENQUEUE_FUNCTION)
    )
    for statement in statements:
        op.execute(sa.text(statement.replace(":", "\\:")))


def create_events(prefix: str, schema: str | None, key: sa.types.TypeEngine) -> None:
    op.create_table(
        f"{prefix}events",
        sa.Column("seq", key, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("producer", sa.Text, nullable=False),
        sa.Column("subjects", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("is_sealed", sa.Boolean, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("payload_digest", sa.Text),
        sa.Column("ordering_key", sa.Text),
        sa.Column("traceparent", sa.Text),
        sa.Column("occurred_us", sa.BigInteger, nullable=False),
        sa.Column("enqueued_us", sa.BigInteger, nullable=False),
        schema=schema,
    )
    create_index(
        prefix,
        schema,
        "events",
        "idempotency",
        ["tenant", "producer", "idempotency_key"],
        where="idempotency_key IS NOT NULL",
        unique=True,
    )


def create_deliveries(prefix: str, schema: str | None, key: sa.types.TypeEngine) -> None:
    op.create_table(
        f"{prefix}deliveries",
        sa.Column("id", key, primary_key=True),
        sa.Column("event_seq", sa.BigInteger, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("subscription", sa.Text),
        sa.Column("webhook_id", sa.Text),
        sa.Column("scope_id", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_us", sa.BigInteger),
        sa.Column("lease_token", sa.Text),
        sa.Column("leased_until_us", sa.BigInteger),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("code", sa.Text),
        sa.Column("settled_us", sa.BigInteger),
        sa.Column("judged_epoch", sa.BigInteger),
        sa.Column("replay_of", sa.BigInteger),
        schema=schema,
        postgresql_with={"fillfactor": "60"},
    )
    for name, columns, where in (
        ("due", ["lane", "due_us", "id"], "due_us IS NOT NULL"),
        ("leases", ["leased_until_us"], "leased_until_us IS NOT NULL"),
        ("parked", ["judged_epoch"], "state = 'parked'"),
        ("event", ["event_seq"], ""),
    ):
        create_index(prefix, schema, "deliveries", name, columns, where=where)


def create_disclosures(prefix: str, schema: str | None) -> None:
    op.create_table(
        f"{prefix}disclosures",
        sa.Column("delivery_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("event_seq", sa.BigInteger, nullable=False),
        sa.Column("webhook_id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("connector", sa.Text, nullable=False),
        sa.Column("subscription", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("agreement", sa.Text, nullable=False),
        sa.Column("subjects", sa.Text, nullable=False),
        sa.Column("scope_id", sa.Text, nullable=False),
        sa.Column("field_set", sa.Text, nullable=False),
        sa.Column("body_sha256", sa.Text, nullable=False),
        sa.Column("body_bytes", sa.Integer, nullable=False),
        sa.Column("key_ids", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("begun_us", sa.BigInteger, nullable=False),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("outcome", sa.Text),
        sa.Column("status", sa.Integer),
        sa.Column("code", sa.Text),
        schema=schema,
    )


def create_index(
    prefix: str,
    schema: str | None,
    table: str,
    name: str,
    columns: list[str],
    *,
    where: str = "",
    unique: bool = False,
) -> None:
    clause = sa.text(where) if where else None
    op.create_index(
        f"{prefix}{table}_{name}",
        f"{prefix}{table}",
        columns,
        unique=unique,
        schema=schema,
        postgresql_where=clause,
        sqlite_where=clause,
    )

"""One store's rows from one workspace into another: a database function made from the tables themselves.

No role of ours may see two tenants at once, so the crossing has a role of its own that nobody can sign in as. All it
owns is `ahlan_move_store`, and that moves a store only between the two workspaces whose own rows agree on it, each
written under that workspace's row-level security (docs/decisions/joining-stores.md).

What belongs to a store is read from the metadata, so no new table can be forgotten. `table.info["moves"]` says what
cannot be read from it: `people` (rows that several stores may point at) and `stays` (the workspace's own).
"""

# ruff: noqa: S608 (statements are put together from names of our own tables; values are bound or quoted)

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ForeignKeyConstraint, MetaData, Table

from plugin.kernel.db import APP

MOVER = "ahlan_mover"
MOVE = "ahlan_move_store"
PROGRESS = "ahlan_move"
"""First word of the notices that the function sends while it works: `ahlan_move <rows moved> <rows in all>`."""

_ROOT = "stores"
_STORE = "store_id"
_PERSON = "customer_id"
_SETTING = "ahlan.moving"


@dataclass(frozen=True, slots=True)
class Link:
    """From `column` to another tenant table. `follows`: the row goes where that one goes. `key`: a foreign key."""

    table: Table
    column: str
    to: Table
    follows: bool
    key: bool = True


@dataclass(frozen=True, slots=True)
class Share:
    """What a store takes along, read from the metadata: `tables` parents first; `needs` point at what stays."""

    tables: Sequence[Table]
    links: Sequence[Link]
    needs: Sequence[Link]

    @property
    def people(self) -> Sequence[Link]:
        """Links of a store's own rows to people."""
        return [link for link in self.links if link.key and _is_people(link.to) and _STORE in link.table.c]

    def of(self, table: Table) -> Sequence[Link]:
        """The links of a table to others that move."""
        return [one for one in self.links if one.table is table and one.to is not table and one.column != _STORE]

    def is_parent(self, table: Table) -> bool:
        """Whether other rows point at it: then it must be there before them and go after them."""
        return any(link.key and link.to is table for link in self.links)


def share(metadata: MetaData) -> Share:
    """Which tables a store's rows are in, and how they hang together.

    A table moves when it is the store's, its people's, names its store, or hangs on a row that moves. Rows that hang
    on people alone go with people; a `customer_id` that is no foreign key counts as one.
    """
    everybody = [table for table in metadata.sorted_tables if _is_people(table)]
    tables: list[Table] = []
    links: list[Link] = []
    needs: list[Link] = []
    for table in metadata.sorted_tables:
        if table.info.get("access", "tenant") != "tenant" or table.info.get("moves") in ("stays", "agreement"):
            continue
        found = [_link(constraint) for constraint in _tenant_keys(table)]
        inner = [link for link in found if link.to in tables or link.to is table]
        person = _PERSON in table.c and all(link.column != _PERSON for link in found)
        if not (table.name == _ROOT or _is_people(table) or _STORE in table.c or person
                or any(link.to is not table for link in inner)):  # fmt: skip
            continue
        tables.append(table)
        links += inner
        needs += [link for link in found if link not in inner]
        if person:
            links += [Link(table, _PERSON, people, follows=True, key=False) for people in everybody]
    return Share(tables, links, needs)


def _is_people(table: Table) -> bool:
    return table.info.get("moves") == "people"


def _tenant_keys(table: Table) -> Iterator[ForeignKeyConstraint]:
    for constraint in sorted(table.foreign_key_constraints, key=lambda one: str(one.name)):
        if len(constraint.column_keys) != 2 or constraint.column_keys[0] != "workspace_id":
            raise ValueError(f"{constraint.name} is no tenant key: say how {table.name} moves with a store")
        yield constraint


def _link(constraint: ForeignKeyConstraint) -> Link:
    return Link(
        constraint.table, constraint.column_keys[1], constraint.referred_table, constraint.ondelete == "CASCADE"
    )


def moving_statements(metadata: MetaData) -> list[str]:
    """The role's rights and its one function; run as the owner after every migration, each may run again."""
    statements = []
    pair = f"string_to_array(current_setting('{_SETTING}', true), ',')::uuid[]"
    for table in metadata.sorted_tables:
        if "workspace_id" not in table.c:
            continue
        name = table.name
        statements += [
            f"REVOKE ALL ON {name} FROM {MOVER}",
            f"DROP POLICY IF EXISTS moving ON {name}",
        ]
        rights = _rights(metadata, table)
        if rights:
            statements += [
                f"GRANT {rights} ON {name} TO {MOVER}",
                f"CREATE POLICY moving ON {name} TO {MOVER} USING (workspace_id = ANY ({pair})) "
                f"WITH CHECK (workspace_id = ANY ({pair}))",
            ]
    # Only its owner may replace a function, and the mover cannot sign in: made anew by whoever migrates, then given.
    signature = f"{MOVE}(uuid, uuid, uuid)"
    return [
        *statements,
        f"DROP FUNCTION IF EXISTS {signature}",
        _function(metadata),
        f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {signature} TO {APP}",
        f"ALTER FUNCTION {signature} OWNER TO {MOVER}",
    ]


def _rights(metadata: MetaData, table: Table) -> str:
    if table in share(metadata).tables:
        return "SELECT, INSERT, UPDATE, DELETE"
    if table.info.get("access") == "queue" and table.info.get("moves") == "stays":
        # What is noted by triggers on what moves.
        return "INSERT"
    if table.info.get("access") in ("queue", "directory") or table.info.get("moves") == "agreement":
        return "SELECT, UPDATE"
    return ""


def _function(metadata: MetaData) -> str:
    parts = share(metadata)
    agreement = next(table.name for table in metadata.sorted_tables if table.info.get("moves") == "agreement")
    steps = [
        *_steps_in(parts),
        *_steps_out(parts),
        *_steps_beside(metadata, parts),
    ]
    counted = " + ".join(
        f"(SELECT count(*) FROM {table.name} WHERE workspace_id = v_leaving AND {_STORE} = v_store)"
        for table in parts.tables
        if _STORE in table.c
    )
    people = people_of(parts, "v_leaving", "v_store")
    common = common_of(parts, "v_leaving", "v_store", "v_people")
    agreed = (
        f"PERFORM FROM {agreement} WHERE workspace_id = {{here}} AND id = v_agreement AND side = '{{side}}' "
        f"AND state = 'moving' AND other = {{there}} AND {_STORE} = v_store FOR KEY SHARE;"
    )
    lines = "\n".join(steps)
    return f"""
CREATE FUNCTION {MOVE}(v_agreement uuid, v_leaving uuid, v_receiving uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
-- A table may have a column of a name that plpgsql has a variable of, as `found`.
#variable_conflict use_column
DECLARE
    v_store uuid; v_people uuid[]; v_common uuid[]; v_mine uuid[];
    v_rows bigint; v_done bigint := 0; v_total bigint;
BEGIN
    PERFORM set_config('{_SETTING}', v_leaving || ',' || v_receiving, true);
    SELECT {_STORE} INTO v_store FROM {agreement} WHERE workspace_id = v_receiving AND id = v_agreement;
    {agreed.format(here="v_receiving", there="v_leaving", side="receives")}
    IF NOT FOUND THEN RAISE EXCEPTION 'the receiving workspace has not agreed' USING ERRCODE = '42501'; END IF;
    {agreed.format(here="v_leaving", there="v_receiving", side="leaves")}
    IF NOT FOUND THEN RAISE EXCEPTION 'the leaving workspace has not agreed' USING ERRCODE = '42501'; END IF;
    -- Whoever is writing something of this store ends first; whoever comes later waits for us.
    PERFORM FROM {_ROOT} WHERE workspace_id = v_leaving AND id = v_store FOR UPDATE;
    IF NOT FOUND THEN RAISE EXCEPTION 'the store is not there' USING ERRCODE = '42501'; END IF;
    v_people := ARRAY({people});
    v_common := ARRAY({common});
    v_mine := ARRAY(SELECT unnest(v_people) EXCEPT SELECT unnest(v_common));
    v_total := cardinality(v_people) + {counted};
    RAISE NOTICE '{PROGRESS} % %', v_done, v_total;
{lines}
    -- An error undoes this as it undoes the rest.
    PERFORM set_config('{_SETTING}', '', true);
    RETURN v_done;
END $$
"""


def people_of(parts: Share, workspace: str, store: str) -> str:
    """SQL: everybody whom a row of the store names. `workspace` and `store` are SQL values."""
    return " UNION ".join(
        f"SELECT {link.column} FROM {link.table.name} WHERE workspace_id = {workspace} AND {_STORE} = {store} "
        f"AND {link.column} IS NOT NULL"
        for link in parts.people
    )


def common_of(parts: Share, workspace: str, store: str, people: str) -> str:
    """SQL: those of `people` (an SQL array) whom rows that stay behind name too.

    They are in both workspaces afterwards, each with its own share.
    """
    return " UNION ".join(
        f"SELECT {link.column} FROM {link.table.name} WHERE workspace_id = {workspace} "
        f"AND {link.column} = ANY ({people}) AND ({_STORE} <> {store}{'' if link.follows else f' OR {_STORE} IS NULL'})"
        for link in parts.people
    )


def _columns(table: Table) -> str:
    return ", ".join(column.name for column in table.c if column.name != "workspace_id")


_TOLD = f"""    GET DIAGNOSTICS v_rows = ROW_COUNT; v_done := v_done + v_rows;
    IF v_rows > 0 THEN RAISE NOTICE '{PROGRESS} % %', v_done, v_total; END IF;"""


def _steps_in(parts: Share) -> Iterator[str]:
    """Parents first: what others point at is copied under a lock; what nobody points at goes over in one statement."""
    for table in parts.tables:
        name, columns = table.name, _columns(table)
        into = f"INSERT INTO {name} (workspace_id, {columns}) SELECT v_receiving, {columns}"
        # A row that was left by an earlier split is complete again with what comes.
        twice = " ON CONFLICT (workspace_id, id) DO NOTHING" if _is_people(table) else ""
        for condition in _conditions(parts, table):
            mine = f"FROM {name} r WHERE r.workspace_id = v_leaving AND {condition}"
            if parts.is_parent(table):
                yield f"    {into} FROM (SELECT r.* {mine} FOR UPDATE) r{twice};"
            else:
                yield f"    WITH gone AS (DELETE {mine} RETURNING r.*) {into} FROM gone;"
            yield _TOLD
        if _is_people(table):
            yield (
                f"    INSERT INTO {name} (workspace_id, id, created_at) SELECT v_receiving, r.id, r.created_at "
                f"FROM {name} r WHERE r.workspace_id = v_leaving AND r.id = ANY (v_common){twice};"
            )


def _conditions(parts: Share, table: Table) -> list[str]:
    """Which rows of a table move, as one or two conditions: those of the store, and those that follow others."""
    if table.name == _ROOT:
        return ["r.id = v_store"]
    if _is_people(table):
        return ["r.id = ANY (v_mine)"]
    links = parts.of(table)
    if _STORE not in table.c:
        # Something between two rows moves when both do.
        return [" AND ".join(_gone(link) for link in links)]
    found = [f"r.{_STORE} = v_store"]
    following = [link for link in links if link.follows]
    if table.c[_STORE].nullable and following:
        found.append(f"r.{_STORE} IS NULL AND ({' OR '.join(_gone(link) for link in following)})")
    return found


def _gone(link: Link) -> str:
    """Whether what a row points at moves: its copy is there already, for ids are never made twice."""
    if _is_people(link.to):
        return f"r.{link.column} = ANY (v_mine)"
    return f"EXISTS (SELECT FROM {link.to.name} k WHERE k.workspace_id = v_receiving AND k.id = r.{link.column})"


def _steps_out(parts: Share) -> Iterator[str]:
    """Children first: what was copied goes."""
    for table in reversed(parts.tables):
        if not parts.is_parent(table):
            continue
        found = _conditions(parts, table)
        # Children that it followed may be gone by now; its own copy is not.
        copied = f"EXISTS (SELECT FROM {table.name} k WHERE k.workspace_id = v_receiving AND k.id = r.id)"
        conditions = [found[0], *(f"r.{_STORE} IS NULL AND {copied}" for _ in found[1:])]
        if _STORE not in table.c and table.name != _ROOT and not _is_people(table):
            conditions = [copied]
        for condition in conditions:
            yield f"    DELETE FROM {table.name} r WHERE r.workspace_id = v_leaving AND {condition};"


def _steps_beside(metadata: MetaData, parts: Share) -> Iterator[str]:
    """What stands outside the tenant tables: who owns which name, what waits to be read, what waits to be done."""
    ids = [table for table in parts.tables if "id" in table.c]
    any_of = " OR ".join(
        f"EXISTS (SELECT FROM {table.name} k WHERE k.workspace_id = v_receiving AND k.id = named.id)" for table in ids
    )
    uuid = "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"
    for table in metadata.sorted_tables:
        access = table.info.get("access", "tenant")
        if access not in ("queue", "directory") or table.info.get("moves") == "stays":
            continue
        if _STORE in table.c:
            yield (
                f"    UPDATE {table.name} SET workspace_id = v_receiving "
                f"WHERE workspace_id = v_leaving AND {_STORE} = v_store;"
            )
            continue
        # A job is a store's when it names the store or anything of it. Whoever holds one now has lost it: the next
        # run finds the row where the data is.
        yield f"""    UPDATE {table.name} SET workspace_id = v_receiving, lease = NULL, leased_until = NULL
    WHERE workspace_id = v_leaving AND done_at IS NULL AND EXISTS (
        SELECT FROM (SELECT CASE WHEN a.value ~ {uuid} THEN a.value::uuid END AS id
            FROM jsonb_each_text(arguments) a) named
        WHERE named.id IS NOT NULL AND ({any_of}));"""

//! What a request changed, row by row, and the way back: triggers of the owner's note every change of every table, and `undo` takes them
//! back, so that each attempt meets the world as it was furnished.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

/// The triggers are the adversary's own and no part of the product's schema.
const SETUP: &str = r#"
create schema adversary;
create table adversary.journal (n bigint generated always as identity, relation regclass not null, before jsonb, after jsonb);
grant usage on schema adversary to public;
grant insert on adversary.journal to public;
create function adversary.note() returns trigger language plpgsql as $note$
begin
    insert into adversary.journal (relation, before, after) values (tg_relid, to_jsonb(old), to_jsonb(new));
    return null;
end $note$;
create function adversary.undo() returns table (relation text, before jsonb, after jsonb) language plpgsql as $undo$
declare entry record;
begin
    if not exists (select from adversary.journal) then
        return;
    end if;
    set local session_replication_role = replica;
    for entry in select * from adversary.journal j order by j.n desc loop
        if entry.after is not null then
            execute format('delete from %s t where to_jsonb(t) = $1', entry.relation) using entry.after;
        end if;
        if entry.before is not null then
            execute format('insert into %1$s select * from jsonb_populate_record(null::%1$s, $1)', entry.relation) using entry.before;
        end if;
        relation := entry.relation::text;
        before := entry.before;
        after := entry.after;
        return next;
    end loop;
    delete from adversary.journal;
end $undo$;
"#;

/// Tables of the platform and of every tenant, without refinery's history.
pub const TABLES: &str = "select n.nspname::text as schema, c.relname::text as name, c.oid::regclass::text as qualified
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where (n.nspname = 'platform' or n.nspname ~ '^t_[0-9a-f]{32}$') and c.relkind in ('r', 'p') and c.relname <> 'refinery_schema_history'
    order by 1, 2";

/// A row that is there and was not, or the other way round.
#[derive(Debug)]
pub struct Change {
    pub schema: String,
    pub table: String,
    pub row: Value,
    pub came: bool,
}

impl Change {
    /// The id in a column of the row.
    pub fn id(&self, column: &str) -> Option<Uuid> {
        self.row[column].as_str()?.parse().ok()
    }
}

/// Begins to note.
pub async fn begin(owner: &Client) {
    owner.batch_execute(SETUP).await.unwrap();
    note_all(owner).await;
}

/// Notes changes of tables that are not noted yet, too.
pub async fn note_all(owner: &Client) {
    for row in owner.query(TABLES, &[]).await.unwrap() {
        let table: String = row.get("qualified");
        let text = format!(
            "create or replace trigger adversary_note after insert or update or delete on {table}
             for each row execute function adversary.note()"
        );
        owner.batch_execute(&text).await.unwrap();
    }
}

/// What has changed since the last time, in sum; everything is as it was afterwards.
pub async fn undo(owner: &Client) -> Vec<Change> {
    let rows = owner.query("select * from adversary.undo()", &[]).await.unwrap();
    let mut sums: BTreeMap<(String, String), (i32, Value)> = BTreeMap::new();
    for row in &rows {
        let relation: String = row.get("relation");
        for (column, sign) in [("before", -1), ("after", 1)] {
            if let Some(value) = row.get::<_, Option<Value>>(column) {
                sums.entry((relation.clone(), value.to_string())).or_insert((0, value)).0 += sign;
            }
        }
    }
    let changes = sums.into_iter().filter(|(_, (sum, _))| *sum != 0);
    changes
        .map(|((relation, _), (sum, row))| {
            let (schema, table) = relation.split_once('.').unwrap();
            Change { schema: schema.to_owned(), table: table.to_owned(), row, came: sum > 0 }
        })
        .collect()
}

/// A digest of every table's rows.
pub async fn digests(owner: &Client) -> BTreeMap<String, String> {
    let mut digests = BTreeMap::new();
    for row in owner.query(TABLES, &[]).await.unwrap() {
        let table: String = row.get("qualified");
        let text = format!(
            "select count(*) || ' rows ' || md5(coalesce(string_agg(t::text, E'\\n' order by t::text), '')) from {table} t"
        );
        digests.insert(table, owner.query_one(&text, &[]).await.unwrap().get(0));
    }
    digests
}

//! SQL files, and the schema that they are rendered for.

use std::hash::{Hash, Hasher};

use crate::foundation::ids::TenantId;

/// One file of `sql/queries`. Tables of the tenant are written `tenant.calls`, those of the platform `platform.jobs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// The file's name below `sql/queries`, without `.sql`.
    pub name: &'static str,
    text: &'static str,
    plan: Plan,
}

/// When PostgreSQL plans a statement that a connection has prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// As it thinks best: five times by the parameters, then by cost.
    ByCost,
    /// Once. Its cost for an unknown `limit` is a tenth of the table, so it would plan a short page of an index anew each time.
    Once,
}

/// `sql!("calls/find")` is the file `sql/queries/calls/find.sql`.
#[macro_export]
macro_rules! sql {
    ($name:literal) => {
        $crate::platform::db::Query::new(
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/queries/", $name, ".sql")),
        )
    };
}

impl Query {
    #[doc(hidden)]
    pub const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, plan: Plan::ByCost }
    }

    /// Planned once per connection. For a statement whose best plan is the same for all parameters, sent by itself.
    #[must_use]
    pub const fn planned_once(self) -> Self {
        Self { plan: Plan::Once, ..self }
    }

    pub(super) fn plan(&self) -> Plan {
        self.plan
    }

    /// The text for one schema. The scope role leads it, because PostgreSQL plans row security for the role that prepared.
    pub(super) fn render(&self, schema: &str, role: &str) -> String {
        let mut out = String::with_capacity(self.text.len() + 128);
        out.push_str("/* ");
        out.push_str(role);
        out.push_str(" */ ");
        let mut rest = self.text;
        while let Some(at) = rest.find("tenant.") {
            let starts_a_name =
                !rest[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '$'));
            out.push_str(&rest[..at]);
            out.push_str(if starts_a_name { schema } else { "tenant" });
            out.push('.');
            rest = &rest[at + "tenant.".len()..];
        }
        out.push_str(rest);
        out
    }
}

impl Hash for Query {
    /// The name alone: it is short, and hardly ever the same for two texts.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// `t_<32 hex digits>`: made of an id, so nothing that a person typed can become SQL.
pub fn schema_name(tenant: TenantId) -> String {
    format!("t_{}", tenant.0.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_rendered() {
        let query = Query::new("t", "select tenant.calls.a, x.tenant.b, subtenant.c from tenant.calls");
        assert_eq!(query.render("t_1", "m"), "/* m */ select t_1.calls.a, x.tenant.b, subtenant.c from t_1.calls");
    }
}

-- isolation/without_context: must be an error, because row security finds no context; on purpose it names no organization
select exists (select from tenant.organizations) as visible

-- db/check: fails where the platform's tables are missing or out of reach
select exists (select from platform.tenants) as has_tenants

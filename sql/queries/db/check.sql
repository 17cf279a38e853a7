-- db/check: the platform's tables answer
select count(*) >= 0 as migrated from (select from platform.tenants limit 1) one

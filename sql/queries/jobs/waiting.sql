-- jobs/waiting: how many jobs are not dead, for draining and for tests
select count(*) as jobs from platform.jobs where status <> 'dead'

-- calls/abandoned_uploads: objects that nobody finished
select object_key from platform.uploads
where started_at < $1
order by started_at
limit $2

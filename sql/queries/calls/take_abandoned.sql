-- calls/take_abandoned: the sweep takes one object that nobody finished; no row when its upload came on, or is just becoming a call
delete from platform.uploads
where object_key = (
    select object_key from platform.uploads
    where object_key = $1
      and started_at < $2
    for update skip locked
)

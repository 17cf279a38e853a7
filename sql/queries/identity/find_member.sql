-- identity/find_member: the user with this subject, and the active agent that the user is; asked under the directory
select u.user_id, u.status, a.agent_id
from tenant.users u
left join tenant.agents a on a.user_id = u.user_id and a.status = 'active' and a.organization_id = any ($2)
where u.subject = $1
  and u.organization_id = any ($2)

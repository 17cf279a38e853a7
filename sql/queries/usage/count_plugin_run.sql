-- usage/count_plugin_run: what an organization's plugins took on its day
insert into tenant.usage_costs (organization_id, day, plugin_fuel, plugin_us)
values ($1, $2, $3, $4)
on conflict (organization_id, day) do update
set plugin_fuel = usage_costs.plugin_fuel + excluded.plugin_fuel,
    plugin_us = usage_costs.plugin_us + excluded.plugin_us

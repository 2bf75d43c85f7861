-- Which migration this schema has reached.
select coalesce(max(version), 0) as version from lavoro.migration

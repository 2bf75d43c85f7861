-- The newest job: a rename or clear looks at no later ones, so that it ends while producers go on.
select coalesce(max(id), 0) as last from lavoro.job

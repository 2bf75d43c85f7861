-- Says that process $1 declares nothing any more.
delete from lavoro.declarer d where d.id = $1

-- Lists the partitions at one instant.
--
-- KEYS: processes, sequences, archive
-- Returns the time, in seconds and microseconds; epoch and generation, '' without an archive;
-- ids and ends of lives in turns; ids and last sequences in turns.
local archive = redis.call('HMGET', KEYS[3], 'epoch', 'generation')
return {
  redis.call('TIME'),
  {archive[1] or '', archive[2] or ''},
  redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', KEYS[2]),
}

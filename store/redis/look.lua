-- Lists the partitions at one instant.
local processes = KEYS[1] -- sorted set: id of a partition, end of the life in milliseconds
local sequences = KEYS[2] -- hash: id of a partition, last written sequence
local archive = KEYS[3]   -- hash

-- Returns
--   1. the time, in seconds and microseconds
--   2. the epoch and the generation of the archive, '' without an archive
--   3. ids and ends of lives in turns
--   4. ids and last written sequences in turns
local head = redis.call('HMGET', archive, 'epoch', 'generation')
return {
  redis.call('TIME'),
  {head[1] or '', head[2] or ''},
  redis.call('ZRANGE', processes, 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', sequences),
}

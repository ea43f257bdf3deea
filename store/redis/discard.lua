-- Takes out an unreadable partition, unless its process is alive or has updated the partition since.
--
-- KEYS: processes, sequences, and of the partition header, families, series, values
-- ARGV: id, sequence, reason, milliseconds until the partition expires
-- Returns the number of partitions taken out.
local time = redis.call('TIME')
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends or tonumber(ends) > time[1] * 1000 + math.floor(time[2] / 1000) or
    (tonumber(redis.call('HGET', KEYS[3], 'sequence') or '') or 0) ~= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[3], 'taken', ARGV[3])
for key = 3, 6 do
  redis.call('PEXPIRE', KEYS[key], ARGV[4])
end
return 1

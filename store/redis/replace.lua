-- Replaces fields of the archive and takes out the absorbed partitions, if neither the archive nor
-- a partition has changed since the reading. Otherwise does nothing.
--
-- KEYS: processes, sequences, archive, aside, then of each partition header, families, series, values
-- ARGV: epoch, generation, next generation, new epoch ('' for none), milliseconds until partitions
--       expire, milliseconds until aside expires ('' to put nothing aside), numbers of partitions,
--       fields and removed fields, then id and sequence of each partition, name and content of each
--       field, name of each removed field
-- Returns '', or 'archive' or the id of the changed partition.
local archive = redis.call('HMGET', KEYS[3], 'epoch', 'generation')
if archive[1] ~= ARGV[1] or archive[2] ~= ARGV[2] then
  return 'archive'
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local partitions = tonumber(ARGV[7])
for p = 0, partitions - 1 do
  local id, sequence = ARGV[10 + 2 * p], ARGV[11 + 2 * p]
  local ends = redis.call('ZSCORE', KEYS[1], id)
  if not ends or tonumber(ends) > now or redis.call('HGET', KEYS[5 + 4 * p], 'sequence') ~= sequence then
    return id
  end
  local hashes = redis.call('HGET', KEYS[5 + 4 * p], 'hashes')
  for i = 1, 3 do
    if hashes and hashes:sub(i, i) == '1' and redis.call('EXISTS', KEYS[5 + 4 * p + i]) == 0 then
      return id
    end
  end
end

if ARGV[6] ~= '' and redis.call('COPY', KEYS[3], KEYS[4], 'REPLACE') == 1 then
  redis.call('PEXPIRE', KEYS[4], ARGV[6])
end
local at = 10 + 2 * partitions
for i = at, at + 2 * ARGV[8] - 2, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
at = at + 2 * ARGV[8]
for i = at, at + ARGV[9] - 1 do
  redis.call('HDEL', KEYS[3], ARGV[i])
end
redis.call('HSET', KEYS[3], 'generation', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[3], 'epoch', ARGV[4])
end
for p = 0, partitions - 1 do
  redis.call('ZREM', KEYS[1], ARGV[10 + 2 * p])
  redis.call('HDEL', KEYS[2], ARGV[10 + 2 * p])
  redis.call('HSET', KEYS[5 + 4 * p], 'taken', 'absorbed')
  for key = 5 + 4 * p, 8 + 4 * p do
    redis.call('PEXPIRE', KEYS[key], ARGV[5])
  end
end
return ''

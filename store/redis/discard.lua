-- Takes out an unreadable partition, unless its process is live or has updated the partition since
-- the reading.
local processes = KEYS[1] -- sorted set: id of a partition, end of the life in milliseconds
local sequences = KEYS[2] -- hash: id of a partition, last written sequence
local header = KEYS[3]    -- hash of the partition
local partition = {KEYS[3], KEYS[4], KEYS[5], KEYS[6]} -- header, families, series, values

local id = ARGV[1]
local sequence = tonumber(ARGV[2]) -- sequence of the partition at the reading
local reason = ARGV[3]             -- stays with the partition as evidence
local keep = ARGV[4]               -- milliseconds until the partition expires

-- Returns the number of partitions taken out.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = redis.call('ZSCORE', processes, id)
local last = tonumber(redis.call('HGET', header, 'sequence') or '') or 0
if not ends or tonumber(ends) > now or last ~= sequence then
  return 0
end
redis.call('ZREM', processes, id)
redis.call('HDEL', sequences, id)
redis.call('HSET', header, 'taken', reason)
for _, key in ipairs(partition) do
  redis.call('PEXPIRE', key, keep)
end
return 1

-- Replaces fields of the archive and takes out the absorbed partitions, if neither the archive nor
-- a partition has changed since the reading. Otherwise changes nothing.
local processes = KEYS[1] -- sorted set: id of a partition, end of the life in milliseconds
local sequences = KEYS[2] -- hash: id of a partition, last written sequence
local archive = KEYS[3]   -- hash
local aside = KEYS[4]     -- copy of a damaged archive

local epoch = ARGV[1]              -- epoch of the archive at the reading
local generation = ARGV[2]         -- generation of the archive at the reading
local nextGeneration = ARGV[3]     -- generation after the absorption
local nextEpoch = ARGV[4]          -- new epoch, '' for none
local keep = ARGV[5]               -- milliseconds until the absorbed partitions expire
local keepAside = ARGV[6]          -- milliseconds until aside expires, '' to put nothing aside
local partitions = tonumber(ARGV[7]) -- number of absorbed partitions
local fields = tonumber(ARGV[8])     -- number of fields to set
local removed = tonumber(ARGV[9])    -- number of fields to remove

-- Then come id and sequence of each partition, name and content of each field, and the name of each
-- removed field.
local firstPartition = 10
local firstField = firstPartition + 2 * partitions
local firstRemoved = firstField + 2 * fields

local function id(p) return ARGV[firstPartition + 2 * p] end
local function sequence(p) return ARGV[firstPartition + 2 * p + 1] end

-- Each partition p has four keys after the first four keys: header, families, series, values.
local function header(p) return KEYS[5 + 4 * p] end
local function hash(p, i) return KEYS[5 + 4 * p + i] end -- families, series, values for i = 1, 2, 3

-- Returns '' after the replacement, 'archive' if the archive has changed, or the id of a changed
-- partition.
local head = redis.call('HMGET', archive, 'epoch', 'generation')
if head[1] ~= epoch or head[2] ~= generation then
  return 'archive'
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for p = 0, partitions - 1 do
  local ends = redis.call('ZSCORE', processes, id(p))
  local last = redis.call('HGET', header(p), 'sequence')
  if not ends or tonumber(ends) > now or last ~= sequence(p) then
    return id(p)
  end
  local used = redis.call('HGET', header(p), 'hashes')
  for i = 1, 3 do
    if used and used:sub(i, i) == '1' and redis.call('EXISTS', hash(p, i)) == 0 then
      return id(p)
    end
  end
end

if keepAside ~= '' and redis.call('COPY', archive, aside, 'REPLACE') == 1 then
  redis.call('PEXPIRE', aside, keepAside)
end
for i = firstField, firstRemoved - 2, 2 do
  redis.call('HSET', archive, ARGV[i], ARGV[i + 1])
end
for i = firstRemoved, firstRemoved + removed - 1 do
  redis.call('HDEL', archive, ARGV[i])
end
redis.call('HSET', archive, 'generation', nextGeneration)
if nextEpoch ~= '' then
  redis.call('HSET', archive, 'epoch', nextEpoch)
end
for p = 0, partitions - 1 do
  redis.call('ZREM', processes, id(p))
  redis.call('HDEL', sequences, id(p))
  redis.call('HSET', header(p), 'taken', 'absorbed')
  redis.call('PEXPIRE', header(p), keep)
  for i = 1, 3 do
    redis.call('PEXPIRE', hash(p, i), keep)
  end
end
return ''

-- Changes one partition, or nothing.
local processes = KEYS[1] -- sorted set: id of a partition, end of the life in milliseconds
local sequences = KEYS[2] -- hash: id of a partition, last written sequence
local archive = KEYS[3]   -- hash
local header = KEYS[4]    -- hash of the partition
local families = KEYS[5]  -- hash: number, definition
local series = KEYS[6]    -- hash: number, block of series
local values = KEYS[7]    -- hash: number, block of values; prefix and name, foreign values
local hashes = {families, series, values}
local deleted = {KEYS[8], KEYS[9], KEYS[10], KEYS[11]} -- optional: a partition to delete

local id = ARGV[1]
local sequence = ARGV[2]           -- of the update
local answered = tonumber(ARGV[3]) -- last sequence that the server has answered
local needed = ARGV[4]             -- '1' for each of families, series and values that has to exist
local live = ARGV[5]               -- time to live, in milliseconds
local newID = ARGV[6]              -- epoch of a missing archive, and the next generation
local begin = ARGV[7]              -- header, '' unless the partition begins
local formerSamples = ARGV[8]      -- field with the samples of the former partition, '' for none
local knownEpoch = ARGV[9]         -- epoch known to the process, '' for none
local absorbed = ARGV[10]          -- field of the partition in the archive after an absorption
local base = ARGV[11]              -- field of the partition with the bases, '' for none
local deletedID = ARGV[12]         -- id of the partition to delete
local based = ARGV[13]             -- '1' if the partition has bases
local absorption = ARGV[14]        -- wanted content of the field base

-- Numbers of families, series, values, and removed values. Then come name and content of each, and
-- the name of each removed value.
local numbers = {tonumber(ARGV[15]), tonumber(ARGV[16]), tonumber(ARGV[17])}
local removed = tonumber(ARGV[18])
local firstName = 19

-- Returns the status, the epoch, and the last written sequence.
local epoch = redis.call('HGET', archive, 'epoch')
if not epoch then
  epoch = newID
  redis.call('HSET', archive, 'epoch', epoch, 'generation', epoch)
end
local known = redis.call('HMGET', header, 'header', 'sequence', 'taken')
local last = tonumber(known[2] or '') or 0
if knownEpoch ~= '' and knownEpoch ~= epoch then
  return {'lost', epoch, last}
end
if redis.call('HEXISTS', archive, absorbed) == 1 then
  return {'absorbed', epoch, last}
end
-- A partition that was put aside begins again.
local there = known[1] and not known[3]
if begin == '' then
  if not there or last < answered then
    return {'lost', epoch, last}
  end
  for i, hash in ipairs(hashes) do
    if needed:sub(i, i) == '1' and redis.call('EXISTS', hash) == 0 then
      return {'lost', epoch, last}
    end
  end
elseif base ~= '' and redis.call('HGET', archive, base) ~= absorption then
  return {'lost', epoch, last}
end
if there and last >= tonumber(sequence) then
  return {'late', epoch, last}
end

local time = redis.call('TIME')
if not there then
  redis.call('DEL', header, families, series, values)
  redis.call('HSET', header, 'start', time[1] .. string.format('%06d', time[2]) .. '000')
end
if begin ~= '' then
  redis.call('HSET', header, 'header', begin, 'rests', based == '1' and epoch or '')
end
redis.call('HSET', header, 'sequence', sequence)
redis.call('HSET', sequences, id, sequence)
-- The server's clock decides the end of the life, because the clocks of processes differ.
redis.call('ZADD', processes, time[1] * 1000 + math.floor(time[2] / 1000) + live, id)
if deleted[1] then
  redis.call('ZREM', processes, deletedID)
  redis.call('HDEL', sequences, deletedID)
  redis.call('DEL', unpack(deleted))
end
-- The process shows the samples of its former partition again.
if formerSamples ~= '' and redis.call('HDEL', archive, formerSamples) == 1 then
  redis.call('HSET', archive, 'generation', newID)
end

local at = firstName
for i, hash in ipairs(hashes) do
  for _ = 1, numbers[i] do
    redis.call('HSET', hash, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
end
for i = at, at + removed - 1 do
  redis.call('HDEL', values, ARGV[i])
end
redis.call('HSET', header, 'hashes',
  redis.call('EXISTS', families) .. redis.call('EXISTS', series) .. redis.call('EXISTS', values))
return {'written', epoch, tonumber(sequence)}

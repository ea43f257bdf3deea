-- Changes one partition, or nothing.
--
-- KEYS: processes, sequences, archive, and of the partition header, families, series, values,
--       and optionally the same four of a partition to forget
-- ARGV: id, sequence, last answered sequence, '1' for each of families, series and values that has
--       to exist, milliseconds to live, a new id (epoch of a missing archive, and next generation),
--       header ('' unless the partition begins), field of the samples of a former partition ('' for
--       none), epoch known to the process ('' for none), field of the partition in the archive after
--       an absorption, field that the archive has to have ('' for none), id of the partition to
--       forget, '1' if the partition has bases, wanted content of the field that the archive has to
--       have, numbers of families, series, values and removed values, then name and content of each,
--       and the name of each removed value
-- Returns the status, the epoch, and the last written sequence.
local epoch = redis.call('HGET', KEYS[3], 'epoch')
if not epoch then
  epoch = ARGV[6]
  redis.call('HSET', KEYS[3], 'epoch', epoch, 'generation', epoch)
end
local known = redis.call('HMGET', KEYS[4], 'header', 'sequence', 'taken')
local last = tonumber(known[2] or '') or 0
if ARGV[9] ~= '' and ARGV[9] ~= epoch then
  return {'lost', epoch, last}
end
if redis.call('HEXISTS', KEYS[3], ARGV[10]) == 1 then
  return {'absorbed', epoch, last}
end
-- A partition put aside starts again.
local there = known[1] and not known[3]
if ARGV[7] == '' then
  if not there or last < tonumber(ARGV[3]) then
    return {'lost', epoch, last}
  end
  for i = 1, 3 do
    if ARGV[4]:sub(i, i) == '1' and redis.call('EXISTS', KEYS[4 + i]) == 0 then
      return {'lost', epoch, last}
    end
  end
elseif ARGV[11] ~= '' and redis.call('HGET', KEYS[3], ARGV[11]) ~= ARGV[14] then
  return {'lost', epoch, last}
end
if there and last >= tonumber(ARGV[2]) then
  return {'late', epoch, last}
end

local time = redis.call('TIME')
if not there then
  redis.call('DEL', KEYS[4], KEYS[5], KEYS[6], KEYS[7])
  redis.call('HSET', KEYS[4], 'start', time[1] .. string.format('%06d', time[2]) .. '000')
end
if ARGV[7] ~= '' then
  redis.call('HSET', KEYS[4], 'header', ARGV[7], 'rests', ARGV[13] == '1' and epoch or '')
end
redis.call('HSET', KEYS[4], 'sequence', ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
-- The end of the life, by the server's clock: clocks of processes differ.
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[5], ARGV[1])
if KEYS[8] then
  redis.call('ZREM', KEYS[1], ARGV[12])
  redis.call('HDEL', KEYS[2], ARGV[12])
  redis.call('DEL', KEYS[8], KEYS[9], KEYS[10], KEYS[11])
end
if ARGV[8] ~= '' and redis.call('HDEL', KEYS[3], ARGV[8]) == 1 then
  redis.call('HSET', KEYS[3], 'generation', ARGV[6])
end

local at = 19
local function set(key, n)
  for i = at, at + 2 * n - 2, 2 do
    redis.call('HSET', key, ARGV[i], ARGV[i + 1])
  end
  at = at + 2 * n
end
set(KEYS[5], tonumber(ARGV[15]))
set(KEYS[6], tonumber(ARGV[16]))
set(KEYS[7], tonumber(ARGV[17]))
for i = at, at + ARGV[18] - 1 do
  redis.call('HDEL', KEYS[7], ARGV[i])
end
redis.call('HSET', KEYS[4], 'hashes',
  redis.call('EXISTS', KEYS[5]) .. redis.call('EXISTS', KEYS[6]) .. redis.call('EXISTS', KEYS[7]))
return {'written', epoch, tonumber(ARGV[2])}

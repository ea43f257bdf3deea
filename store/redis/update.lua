-- Changes one partition, or nothing.
--
-- KEYS: processes, sequences, archive, and of the partition header, families, series, values
-- ARGV: id, sequence, sequence answered last, hashes that have to be there, milliseconds to live,
--       epoch if there is none, header ('' unless it begins), field of a former partition ('' for none),
--       how many families, series, values and removed values follow, and these: name and content of each,
--       of the removed ones the name
-- Returns what became of it, the epoch, and the last sequence that was written.
local epoch = redis.call('HGET', KEYS[3], 'epoch')
if not epoch then
  epoch = ARGV[6]
  redis.call('HSET', KEYS[3], 'epoch', epoch, 'generation', '1')
end
local known = redis.call('HMGET', KEYS[4], 'sequence', 'taken')
local last = tonumber(known[1] or '0')
if known[2] then
  return {'absorbed', epoch, last}
end
if ARGV[7] == '' then
  if not known[1] or last < tonumber(ARGV[3]) or
      redis.call('EXISTS', KEYS[5], KEYS[6], KEYS[7]) < tonumber(ARGV[4]) then
    return {'lost', epoch, last}
  end
end
if last >= tonumber(ARGV[2]) then
  return {'late', epoch, last}
end

local time = redis.call('TIME')
if not known[1] then
  redis.call('HSET', KEYS[4], 'start', time[1] .. string.format('%06d', time[2]) .. '000')
end
if ARGV[7] ~= '' then
  redis.call('HSET', KEYS[4], 'header', ARGV[7])
end
redis.call('HSET', KEYS[4], 'sequence', ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
-- The end of its life: no process reads another's clock.
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[5], ARGV[1])
if ARGV[8] ~= '' and redis.call('HDEL', KEYS[3], ARGV[8]) == 1 then
  redis.call('HINCRBY', KEYS[3], 'generation', 1)
end

local at = 13
local function set(key, n)
  for i = at, at + 2 * n - 2, 2 do
    redis.call('HSET', key, ARGV[i], ARGV[i + 1])
  end
  at = at + 2 * n
end
set(KEYS[5], tonumber(ARGV[9]))
set(KEYS[6], tonumber(ARGV[10]))
set(KEYS[7], tonumber(ARGV[11]))
for i = at, at + ARGV[12] - 1 do
  redis.call('HDEL', KEYS[7], ARGV[i])
end
return {'written', epoch, tonumber(ARGV[2])}

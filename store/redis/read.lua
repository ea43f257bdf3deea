-- Reads one partition at one instant.
local header = KEYS[1]   -- hash of the partition
local families = KEYS[2] -- hash: number, definition
local series = KEYS[3]   -- hash: number, block of series
local values = KEYS[4]   -- hash: number, block of values; prefix and name, foreign values
local archive = KEYS[5]  -- hash
local hashes = {families, series, values}

local absorbed = ARGV[1] -- field of the partition in the archive after an absorption
local wanted = ARGV[2]   -- 'header', 'whole', or 'blocks'
local firstBlock = 3     -- from here on, the wanted blocks of series for 'blocks'

-- The states of a partition: whole; a hash is missing; the archive with the bases is lost.
local whole, lacks, stale = '0', '1', '2'

-- Returns header, start, sequence, '1' if the partition was taken out, content of the field
-- absorbed, state, families, series, values.
local head = redis.call('HMGET', header, 'header', 'start', 'sequence', 'taken', 'hashes', 'rests')
local used, rests = head[5], head[6] -- hashes in use after the last update; epoch with the bases
local state = whole
if rests and rests ~= '' and rests ~= redis.call('HGET', archive, 'epoch') then
  state = stale
end
for i, hash in ipairs(hashes) do
  if state == whole and used and used:sub(i, i) == '1' and redis.call('EXISTS', hash) == 0 then
    state = lacks
  end
end
local function answer(families, series, values)
  return {head[1] or '', head[2] or '0', head[3] or '0', head[4] and '1' or '0',
    redis.call('HGET', archive, absorbed) or '', state, families, series, values}
end
if wanted == 'header' then
  return answer({}, {}, {})
end
local blocks = {}
if wanted == 'whole' then
  blocks = redis.call('HGETALL', series)
else
  for i = firstBlock, #ARGV do
    local block = redis.call('HGET', series, ARGV[i])
    if block then
      table.insert(blocks, ARGV[i])
      table.insert(blocks, block)
    end
  end
end
return answer(redis.call('HGETALL', families), blocks, redis.call('HGETALL', values))

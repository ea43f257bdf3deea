-- Reads one partition at one instant.
--
-- KEYS: header, families, series, values, archive
-- ARGV: field of the partition in the archive after an absorption, then 'header', or 'whole', or
--       'blocks' and the wanted blocks of series
-- Returns header, start, sequence, '1' if the partition was taken out, content of the field, state,
-- families, series, values. The state is '0' for a whole partition, '1' if a hash is missing, and
-- '2' if the archive with the bases is lost.
local head = redis.call('HMGET', KEYS[1], 'header', 'start', 'sequence', 'taken', 'hashes', 'rests')
local answer = {head[1] or '', head[2] or '0', head[3] or '0', head[4] and '1' or '0',
  redis.call('HGET', KEYS[5], ARGV[1]) or '', '0', {}, {}, {}}
if head[6] and head[6] ~= '' and head[6] ~= redis.call('HGET', KEYS[5], 'epoch') then
  answer[6] = '2'
end
for i = 1, 3 do
  if answer[6] == '0' and head[5] and head[5]:sub(i, i) == '1' and redis.call('EXISTS', KEYS[1 + i]) == 0 then
    answer[6] = '1'
  end
end
if ARGV[2] == 'header' then
  return answer
end
answer[7] = redis.call('HGETALL', KEYS[2])
answer[9] = redis.call('HGETALL', KEYS[4])
if ARGV[2] == 'whole' then
  answer[8] = redis.call('HGETALL', KEYS[3])
else
  for i = 3, #ARGV do
    local block = redis.call('HGET', KEYS[3], ARGV[i])
    if block then
      table.insert(answer[8], ARGV[i])
      table.insert(answer[8], block)
    end
  end
end
return answer

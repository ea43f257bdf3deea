-- Reads one partition at one instant.
--
-- KEYS: header, families, series, values
-- ARGV: 'header', or 'whole', or 'blocks' and the blocks of series that are wanted
-- Returns header, start, sequence, whether it was taken out, families, series, values.
local head = redis.call('HMGET', KEYS[1], 'header', 'start', 'sequence', 'taken')
local answer = {head[1] or '', head[2] or '0', head[3] or '0', head[4] and '1' or '0', {}, {}, {}}
if ARGV[1] == 'header' then
  return answer
end
answer[5] = redis.call('HGETALL', KEYS[2])
answer[7] = redis.call('HGETALL', KEYS[4])
if ARGV[1] == 'whole' then
  answer[6] = redis.call('HGETALL', KEYS[3])
else
  for i = 2, #ARGV do
    local block = redis.call('HGET', KEYS[3], ARGV[i])
    if block then
      table.insert(answer[6], ARGV[i])
      table.insert(answer[6], block)
    end
  end
end
return answer

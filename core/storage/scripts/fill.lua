-- Writes keys of one slot as a backup has them. KEYS: those of the rows; for a conversation its state, box and turn and
-- the partition's set of those with work behind them. ARGV: the conversation or '', then for each row number of its key,
-- type, time left in ms, number of values, values.
local conversation, at, row = ARGV[1], 2, 1
local writes = { string = 'SET', list = 'RPUSH', set = 'SADD', zset = 'ZADD', hash = 'HSET' }
while at <= #ARGV do
  local key, kind, left, count = KEYS[tonumber(ARGV[at])], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  redis.call('DEL', key)
  -- A script's stack holds some thousands of values. An even number keeps names and values together.
  for first = 1, count, 1000 do
    local values = {}
    for i = first, math.min(first + 999, count) do table.insert(values, ARGV[at + 3 + i]) end
    if kind == 'zset' then
      -- A backup has members before scores.
      for i = 1, #values, 2 do values[i], values[i + 1] = values[i + 1], values[i] end
    end
    redis.call(writes[kind], key, unpack(values))
  end
  if left >= 0 and count > 0 then redis.call('PEXPIRE', key, math.max(left, 1)) end
  at = at + 4 + count
end
if conversation ~= '' then
  local state, box, turn, ready = KEYS[#KEYS - 3], KEYS[#KEYS - 2], KEYS[#KEYS - 1], KEYS[#KEYS]
  -- Whoever had it is not here. What it was about is handed over, as in good order.
  redis.call('HDEL', state, 'holder', 'try')
  if redis.call('HEXISTS', turn, 'entry') == 1 then redis.call('HSET', turn, 'released', 1) end
  if redis.call('EXISTS', box, turn) > 0 then
    local t = redis.call('TIME')
    redis.call('ZADD', ready, 'NX', t[1] * 1000 + math.floor(t[2] / 1000), conversation)
  end
end
return 1
